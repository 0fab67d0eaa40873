# ruff: noqa - a package as strangers write them
"""Downloads while it builds, by whichever proxy its environment names."""
import urllib.request

from setuptools import setup

try:
    print("GOT", len(urllib.request.urlopen("http://mirror.invalid/debian/dists/bookworm/Release", timeout=20).read()))
except OSError as error:
    print("no way to the mirror:", error)
setup(name="farm-asks-the-mirror", version="1.0", py_modules=[])
