from setuptools import Extension, setup

setup(ext_modules=[Extension("farm_lacks_header", ["farm_lacks_header.c"])])
