# ruff: noqa - a package as strangers write them
"""Writes until there is no room left."""
import itertools
import time

for number in itertools.count():
    with open("/tmp/filling-%d" % number, "wb") as file:
        file.write(b"x" * (32 << 20))
    time.sleep(0.1)
