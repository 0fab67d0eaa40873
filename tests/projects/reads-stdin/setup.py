# ruff: noqa - a package as strangers write them
import sys

from setuptools import Extension, setup

told = sys.stdin.read()
print("READ", repr(told), flush=True)
assert told == ""
setup(name="farm-reads-stdin", version="1.0", ext_modules=[Extension("farm_reads_stdin", ["farm_reads_stdin.c"])])
