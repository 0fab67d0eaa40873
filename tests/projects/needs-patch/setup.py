import sys
from pathlib import Path

from setuptools import Extension, setup

# What the build may have, as cgroup v2 and v1 tell it.
for limit in ("memory.max", "memory/memory.limit_in_bytes", "cpu.max", "cpu/cpu.cfs_quota_us"):
    path = Path("/sys/fs/cgroup", limit)
    if path.is_file():
        sys.stdout.write(f"limit {limit.split('.')[0].split('/')[0]} {path.read_text().split()[0]}\n")

setup(ext_modules=[Extension("farm_needs_patch", ["farm_needs_patch.c"])])
