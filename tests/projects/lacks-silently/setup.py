"""A project whose log does not say what it lacks: its own check swallows the compiler's words, as real ones do."""

import subprocess
import sys

from setuptools import Extension, setup

SOURCE = "farm_lacks_silently.c"
include = __import__("sysconfig").get_paths()["include"]
if subprocess.run(["gcc", f"-I{include}", "-E", SOURCE], check=False, capture_output=True).returncode:
    sys.exit("the preprocessor was not happy")
setup(ext_modules=[Extension("farm_lacks_silently", [SOURCE], libraries=["yaml"])])
