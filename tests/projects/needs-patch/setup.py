import sys
from pathlib import Path

from setuptools import Extension, setup

for limit in ("memory.max", "cpu.max"):
    path = Path("/sys/fs/cgroup", limit)
    sys.stdout.write(f"{limit} {path.read_text().strip() if path.is_file() else 'unknown'}\n")

setup(ext_modules=[Extension("farm_needs_patch", ["farm_needs_patch.c"])])
