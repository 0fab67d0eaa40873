from setuptools import Extension, setup

setup(ext_modules=[Extension("farm_old_cython", ["farm_old_cython.c"])])
