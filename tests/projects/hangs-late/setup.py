"""Answers every question, and never ends when the wheel is to be built."""
import subprocess
import sys
import time

from setuptools import Extension, setup

if "bdist_wheel" in sys.argv:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(86400)", "farm-hangs-marker"], start_new_session=True)
    time.sleep(86400)
setup(name="farm-hangs-late", version="1.0", ext_modules=[Extension("farm_hangs_late", ["farm_hangs_late.c"])])
