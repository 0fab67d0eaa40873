"""The house rules that a machine can check: who imports whom, how large things grow, what the project never contains."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "farm").rglob("*.py"))
FOLDERS = ("farm", "tests", "images", "docs", "benchmarks", "examples", ".ci")
TEXTS = sorted(
    path
    for path in (*ROOT.glob("*.*"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*")))
    if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith((".pyc", ".png", ".whl", ".gz"))
)
# In parts, so that this file does not contain what it looks for.
REGISTRIES = (
    ("pypi", "org"), ("pythonhosted", "org"), ("deb", "debian", "org"), ("snapshot", "debian", "org"), ("crates", "io"),
    ("npmjs", "org"), ("npmjs", "com"),
)  # fmt: skip


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def calls(path: Path, name: str) -> bool:
    return any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == name for n in ast.walk(tree(path)))


def uses(path: Path, module: str, attributes: frozenset[str] = frozenset()) -> bool:
    """Tell whether a file imports a module or, where `attributes` are given, reads one of them from it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module == module:
            if not attributes or attributes & {alias.name for alias in node.names}:
                return True
        elif isinstance(node, ast.Import) and not attributes and any(a.name.split(".")[0] == module for a in node.names):
            return True
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = node.value.id == module and node.attr in attributes
            if found:
                return True
    return False


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.fail("lint-imports is not installed: it belongs to the dependency group `lint`")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_has_at_most_400_lines_and_a_function_60(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    functions = (n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    long = [f"{f.name}: {(f.end_lineno or 0) - f.lineno + 1} lines" for f in functions if (f.end_lineno or 0) - f.lineno >= 60]
    assert long == []


def test_only_the_renderer_prints_and_what_runs_inside_containers() -> None:
    found = [relative(path) for path in MODULES if calls(path, "print")]
    assert [path for path in found if not path.startswith("farm/adapters/scripts/")] == ["farm/cli/render.py"]


def test_only_the_frame_of_the_command_line_reads_the_environment() -> None:
    names = frozenset({"environ", "getenv", "environb", "putenv"})
    assert [relative(path) for path in MODULES if uses(path, "os", names)] == ["farm/cli/main.py"]


def test_only_adapters_start_processes() -> None:
    found = {relative(path) for path in MODULES if uses(path, "subprocess")}
    assert {path for path in found if not path.startswith("farm/adapters/")} == set()


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    assert [relative(path) for path in MODULES if path.stem in drawers] == []


def test_every_module_says_what_it_is_for() -> None:
    filled = (path for path in MODULES if path.read_text(encoding="utf-8").strip())
    assert [relative(path) for path in filled if not ast.get_docstring(tree(path))] == []


@pytest.mark.parametrize("parts", REGISTRIES, ids="-".join)
def test_no_registry_is_named_anywhere(parts: tuple[str, ...]) -> None:
    pattern = re.compile(rf"(?<![\w-]){re.escape('.'.join(parts))}(?!\w)")
    found = [relative(path) for path in TEXTS if pattern.search(path.read_text(encoding="utf-8", errors="replace"))]
    assert found == []


def test_no_path_of_a_developer_s_machine_is_left_anywhere() -> None:
    pattern = re.compile("|".join(("/" + "work/(main|shared)", "/" + "tmp/w/")))
    found = [relative(path) for path in TEXTS if pattern.search(path.read_text(encoding="utf-8", errors="replace"))]
    assert found == []
