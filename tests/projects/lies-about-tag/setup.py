"""Compiles a library itself and ships it as package data, so that the wheel is called py3-none-any."""
import subprocess

from setuptools import setup

subprocess.run(["cc", "-shared", "-fPIC", "-o", "farm_lies/answer.so", "answer.c"], check=True)
setup(packages=["farm_lies"], package_data={"farm_lies": ["*.so"]})
