from setuptools import Extension, setup

setup(ext_modules=[Extension("farm_simd_plain", ["farm_simd_plain.c"])])
