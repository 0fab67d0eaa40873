from Cython.Build import cythonize
from setuptools import setup

setup(ext_modules=cythonize("farm_lacks_build_requires.pyx"))
