from setuptools import setup

setup(py_modules=["farm_dynamic"], install_requires=["idna>=3"])
