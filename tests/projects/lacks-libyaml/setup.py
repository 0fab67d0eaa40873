from setuptools import Extension, setup

setup(ext_modules=[Extension("farm_lacks_libyaml", ["farm_lacks_libyaml.c"], libraries=["yaml"])])
