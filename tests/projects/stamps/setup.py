"""Writes down when and where it is built, as many projects do."""

import time
from pathlib import Path

from setuptools import setup

here = Path(__file__).resolve().parent
(here / "farm_stamps.py").write_text(f"BUILT = {time.time()!r}\n")
(here / "farm_stamps_where.py").write_text(f"WHERE = '{here}'\n")
setup()
