from setuptools import Extension, setup

setup(ext_modules=[Extension("farm_cpp", ["farm_cpp.cpp"], language="c++")])
