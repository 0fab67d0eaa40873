from setuptools import Extension, setup

setup(ext_modules=[Extension("farm_simd_chooses", ["farm_simd_chooses.c"])])
