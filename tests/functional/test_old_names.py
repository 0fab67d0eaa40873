"""What the standard library dropped is there for a build's Python, whichever it is, and nothing is printed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from farm.adapters.old_names import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

USES = """
import ast, base64, collections, configparser, fractions, html.parser, inspect, io, locale, pkgutil, time
parser = configparser.SafeConfigParser()
parser.readfp(io.StringIO("[versioneer]\\nvcs = git\\n"))
assert parser.get("versioneer", "vcs") == "git"
assert issubclass(dict, collections.MutableMapping)
assert inspect.getargspec(lambda a, b=1: None).args == ["a", "b"]
assert base64.decodestring(base64.encodestring(b"x")) == b"x"
assert fractions.gcd(4, 6) == 2
assert html.parser.HTMLParser().unescape("&amp;") == "&"
assert time.clock() >= 0
assert locale.format("%d", 3) == "3"
node = ast.parse("__version__ = '1.0'").body[0].value
assert isinstance(node, ast.Str) and not isinstance(node, ast.Num) and node.s == "1.0"
print("all there")
"""


def pythons() -> list[str]:
    """Every Python 3 of this machine that runs; a version manager's stand-in is on PATH for versions that are not installed, too."""
    found = [program for minor in range(8, 16) if (program := shutil.which(f"python3.{minor}"))]
    runs = [p for p in found if not subprocess.run([p, "-c", ""], capture_output=True, check=False, timeout=60).returncode]
    return [sys.executable, *runs]


@pytest.mark.parametrize("program", pythons())
def test_old_names_are_given_back(tmp_path: Path, program: str) -> None:
    write_wheel(tmp_path)
    with zipfile.ZipFile(tmp_path / "farm_dropped_names-1-py3-none-any.whl") as archive:
        archive.extractall(tmp_path)
    # Python runs a file of this name as it runs a .pth file in an environment.
    (tmp_path / "sitecustomize.py").write_text((tmp_path / "farm_dropped_names.pth").read_text())
    uses = tmp_path / "uses.py"
    uses.write_text(USES)
    environment = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([program, "-W", "ignore", str(uses)], capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("all there\n", "")
    strict = [program, "-W", "error", "-c", "print('quiet')"]
    done = subprocess.run(strict, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("quiet\n", "")
