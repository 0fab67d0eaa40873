from setuptools import Extension, setup

setup(ext_modules=[Extension("farm_c", ["farm_c.c"])])
