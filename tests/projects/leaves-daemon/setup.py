# ruff: noqa - a package as strangers write them
"""Leaves a process behind that no longer belongs to the build, and builds well."""
import os
import subprocess
import sys

from setuptools import Extension, setup

child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN); time.sleep(86400)"
subprocess.Popen(
    [sys.executable, "-c", child, "farm-daemon", os.environ.get("FARM_MARK", "")],
    start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
setup(name="farm-leaves-daemon", version="1.0", ext_modules=[Extension("farm_leaves_daemon", ["farm_leaves_daemon.c"])])
