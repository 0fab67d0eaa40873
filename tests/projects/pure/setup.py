from setuptools import setup

setup(name="farm-pure", version="1.0", py_modules=["farm_pure"])
