# ruff: noqa - a package as strangers write them
"""Takes some seconds and some memory to build, and then is a package of one module."""
import sys
import time

from setuptools import setup

if "bdist_wheel" in sys.argv:
    block = bytearray(b"x") * (200 << 20)
    print("TAKING A WHILE", flush=True)
    time.sleep(6)
setup()
