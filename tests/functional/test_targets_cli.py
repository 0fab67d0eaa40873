"""`farm targets` and `farm why` as commands, and the host's own interpreters against the farm's tables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import packaging
import pytest
from packaging.version import Version

from farm.model.client import Client, client_ranks
from farm.model.target import parse_target
from farm.wire.exact import exact_targets, keep_versions
from tests.functional.conftest import TARGET, add_sdist, add_wheel

if TYPE_CHECKING:
    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

_ASK = """
import json, pip
from pip._internal.utils.compatibility_tags import get_supported
try:
    from pip._vendor.packaging.markers import default_environment
except ImportError:
    from packaging.markers import default_environment
print(json.dumps([pip.__version__, [str(tag) for tag in get_supported()], default_environment()]))
"""


def interpreters() -> list[str]:
    """This one, and every other CPython from 3.8 on with a pip that knows PEP 600, wherever pyenv or the system keeps it."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [sys.executable, *map(str, sorted(pyenv.glob("3.*/bin/python")))]
    found += [path for minor in range(8, 16) if (path := shutil.which(f"python3.{minor}", path="/usr/local/bin:/usr/bin"))]
    check = "import sys, pip; assert sys.version_info >= (3, 8) and tuple(map(int, pip.__version__.split('.')[:2])) >= (20, 3)"
    return [path for path in found if subprocess.run([path, "-I", "-c", check], capture_output=True, check=False).returncode == 0]


@pytest.mark.parametrize("python", interpreters())
def test_tags_and_markers_are_exactly_those_of_the_interpreters_own_pip(python: str, shell: Shell) -> None:
    told = subprocess.run([python, "-I", "-c", _ASK], capture_output=True, text=True, check=True).stdout
    pip, tags, environment = json.loads(told)
    found = shell.run("targets", "detect", "--python", python)
    assert (found.code, found.err) == (0, "")
    target = parse_target(found.out.strip())
    assert target.full_name == found.out.strip()
    assert [str(tag) for tag in client_ranks(target, Client(version=Version(pip)))] == list(dict.fromkeys(tags))
    ours = dict(target.markers)
    assert {key: ours[key] for key in ours if key not in {"platform_release", "platform_version"}} == {
        key: environment[key] for key in ours if key not in {"platform_release", "platform_version"}
    }
    content = shell.run("targets", "detect", "--json", "--python", python).json["targets"][0]
    assert content["tags"] == list(dict.fromkeys(tags))
    assert len(content["markers"]) == 11
    assert content["markers"] == {key: environment[key] for key in content["markers"]}
    assert content["remarks"] == []


PYPY = shutil.which("pypy3")


@pytest.mark.skipif(PYPY is None, reason="no pypy3 on PATH (Debian's package of that name)")
def test_a_real_pypy_is_told_exactly(shell: Shell, tmp_path: Path) -> None:
    """Its pip is asked where it has one, else packaging itself, which names one tag otherwise than pip does."""
    assert PYPY is not None
    shutil.copytree(Path(packaging.__file__).parent, tmp_path / "library" / "packaging")
    ask = (
        "import sys, json\n"
        "try:\n"
        "    from pip._internal.utils.compatibility_tags import get_supported as tags\n"
        "    from pip._vendor.packaging.markers import default_environment\n"
        "except ImportError:\n"
        f"    sys.path.insert(0, {str(tmp_path / 'library')!r})\n"
        "    from packaging.tags import sys_tags as tags\n"
        "    from packaging.markers import default_environment\n"
        "print(json.dumps([[str(tag) for tag in tags()], default_environment()]))"
    )
    tags, environment = json.loads(subprocess.run([PYPY, "-I", "-c", ask], capture_output=True, text=True, check=True).stdout)
    found = shell.run("targets", "detect", "--json", "--python", PYPY).json["targets"][0]
    assert found["remarks"] == []
    assert found["tags"] == [f"{found['target'].split('-')[0]}-none-any" if tag == "pp3-none-any" else tag for tag in dict.fromkeys(tags)]
    assert found["markers"] == {key: environment[key] for key in found["markers"]}


def test_the_version_that_a_pypy_image_told_is_in_its_markers(tmp_path: Path) -> None:
    table, patched = parse_target("pp311-manylinux_2_28_x86_64"), parse_target("pp311-manylinux_2_28_x86_64@3.11.12")
    keep_versions(tmp_path, [replace(table, full_version="3.11.13", implementation_version="7.3.99"), parse_target("cp312-win32@3.12.9")])
    told, other, windows = exact_targets((table, patched, parse_target("cp312-win32")), tmp_path)
    assert (told.markers["implementation_version"], told.full_version, told.assumed) == ("7.3.99", "3.11.13", False)
    assert (other.markers["implementation_version"], other.full_version) == (patched.markers["implementation_version"], "3.11.12")
    assert (windows.markers["implementation_version"], windows.full_version) == ("3.12.9", "3.12.9")


def test_native_and_detect_agree(shell: Shell) -> None:
    told = shell.run("targets", "detect")
    assert told.out.strip() == parse_target("native").full_name
    shell.write("config.toml", 'targets = ["native"]\n')
    listed = shell.run("targets", "list", "--json").json["targets"]
    assert [(one["name"], one["assumed"]) for one in listed] == [(parse_target("native").name, False)]


@pytest.mark.parametrize("python", ["/nowhere/python3", "/bin/true", "/bin/false"])
def test_what_is_no_python_is_refused(python: str, shell: Shell) -> None:
    done = shell.run("targets", "detect", "--python", python)
    assert done.code != 0
    assert python in done.err
    assert "hint:" in done.err


def test_list_tells_python_libc_and_image_without_an_engine(shell: Shell) -> None:
    shell.write("config.toml", f'targets = ["{TARGET}", "cp312-win_amd64"]\n[images]\nfamily = "debian"\n')
    done = shell.run("targets", "list")
    lines = [line.split("  ") for line in done.out.splitlines()]
    assert done.code == 0
    assert "debian-bookworm-x86_64-builder" in done.out
    assert "3.11.2 (assumed)" in done.out
    assert "glibc 2.36" in done.out
    assert len(lines) == 3
    assert "none: " in done.out.splitlines()[2]


def test_the_version_that_an_image_told_is_used_where_none_was_given(shell: Shell) -> None:
    shell.write("config.toml", f'targets = ["{TARGET}", "cp313-manylinux_2_41_x86_64@3.13.0"]\n[images]\nfamily = "debian"\n')
    told = shell.folder / ".farm/cache/interpreters/targets.json"
    told.parent.mkdir(parents=True)
    told.write_text(json.dumps({TARGET: "3.11.77", "cp313-manylinux_2_41_x86_64": "3.13.88"}), encoding="utf-8")
    listed = shell.run("targets", "list", "--json").json["targets"]
    assert [(one["python"], one["assumed"]) for one in listed] == [("3.11.77", False), ("3.13.0", False)]
    told.write_text("damaged", encoding="utf-8")
    assert [one["assumed"] for one in shell.run("targets", "list", "--json").json["targets"]] == [True, False]


def test_from_image_without_an_engine_says_so(shell: Shell) -> None:
    done = shell.run("targets", "from-image", "debian")
    assert done.code == 4
    assert "Docker engine" in done.err


def test_an_unknown_target_is_refused_with_near_names(shell: Shell, index: IndexServer) -> None:
    done = shell.run("why", "demo", "--target", "cp312-manylinux_2_28-x86_64")
    assert done.code == 2
    assert "cp312-manylinux_2_28_x86_64" in done.err


def test_client_pip_on_the_command_line_and_in_the_configuration(shell: Shell, index: IndexServer) -> None:
    add_wheel(index, "demo", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    shell.requirements("demo==1.0")
    wheel = shell.run("build", "-r", "requirements.txt", "--dry-run", "--json")
    assert (wheel.code, wheel.json["summary"]) == (0, {"upstream-wheel": 1})
    hidden = shell.run("build", "-r", "requirements.txt", "--dry-run", "--json", "--client-pip", "20.2")
    cell = hidden.json["packages"][0]["cells"][TARGET]
    assert (hidden.code, cell["state"]) == (1, "hidden")
    assert cell["reason"] == "present, pip 20.2 cannot see it: needs >= 20.3"
    shell.write("config.toml", f'targets = ["{TARGET}"]\nclient-pip = "20.2"\n')
    assert shell.run("build", "-r", "requirements.txt", "--dry-run", "--json").json["summary"] == {"hidden": 1}
    wrong = shell.run("build", "-r", "requirements.txt", "--client-pip", "old")
    assert (wrong.code, "expected a version of pip" in wrong.err) == (2, True)


def test_why_tells_the_file_the_key_and_what_is_out(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_wheel(index, "demo", "1.0", "cp311-cp311-manylinux_2_17_x86_64")
    add_wheel(index, "demo", "1.0", "cp312-cp312-manylinux_2_17_x86_64")
    add_sdist(index, "demo", "1.0", tmp_path)
    done = shell.run("why", "demo==1.0", "--target", TARGET)
    assert done.code == 0
    assert "takes demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl from upstream" in done.out
    assert "before demo-1.0.tar.gz (upstream): tag none (an sdist)" in done.out
    assert "out: demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl (upstream): no tag fits: wheels for cp312, target cp311" in done.out
    old = shell.run("why", "demo==1.0", "--target", TARGET, "--client-pip", "19.1", "--json")
    view = old.json["views"][0]
    assert old.code == 1
    assert view["chosen"]["file"] == "demo-1.0.tar.gz"
    assert view["note"] == "pip 19.1 then compiles it"
    assert {"hidden: pip 19.1 does not know its tags, needs >= 20.3"} <= {out["reason"] for out in view["out"]}


def test_why_reads_bounds_hashes_and_options_of_requirements(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_wheel(index, "demo", "1.0")
    add_wheel(index, "demo", "2.0")
    add_sdist(index, "demo", "2.0", tmp_path)
    shell.requirements("--no-binary demo", "demo<3 ; python_version < '3.12'", "demo<1.5 ; python_version >= '3.12'")
    done = shell.run("why", "demo", "--target", TARGET, "-r", "requirements.txt", "--json")
    assert done.json["views"][0]["chosen"]["file"] == "demo-2.0.tar.gz"
    assert done.json["specifier"] == "<3"
    shell.requirements("demo @ https://elsewhere.example/demo-1.0.tar.gz")
    direct = shell.run("why", "demo", "--target", TARGET, "-r", "requirements.txt")
    assert (direct.code, "requirements.txt:1 takes demo from a URL" in direct.err) == (2, True)


@pytest.mark.parametrize(
    "arguments", [("not a name",), ("demo @ https://x.example/d.whl",), ("demo", "--client", "uv", "--client-pip", "20")]
)
def test_what_cannot_be_asked_is_refused(arguments: tuple[str, ...], shell: Shell) -> None:
    assert shell.run("why", *arguments).code == 2


def test_why_is_unknown_while_the_index_does_not_answer(shell: Shell, index: IndexServer) -> None:
    index.fail("/simple/demo", "500")
    assert shell.run("why", "demo").code == 3
