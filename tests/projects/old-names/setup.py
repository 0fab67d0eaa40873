import collections
from configparser import SafeConfigParser

from setuptools import Extension, setup

assert issubclass(dict, collections.Mapping)
SafeConfigParser().read("setup.cfg")
setup(ext_modules=[Extension("farm_old_names", ["farm_old_names.c"])])
