"""Locks read from texts and samples, and what they say for a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name as canonical

from farm.model.gap import Unresolved
from farm.model.lock import Choice
from farm.model.target import parse_target
from farm.survey.inputs import World, read_inputs
from farm.survey.locks.closure import select
from farm.survey.reading.faults import RequirementsError

if TYPE_CHECKING:
    from farm.model.demand import Demand

LINUX = parse_target("cp311-manylinux_2_36_x86_64")
NEW = parse_target("cp313-manylinux_2_41_x86_64")
WINDOWS = parse_target("cp311-win_amd64")
SAMPLES = Path(__file__).parents[1] / "unit" / "survey" / "locks"
SHA = "a" * 64


def chosen(extras: tuple[str, ...] = (), groups: tuple[str, ...] = (), *, default_groups: bool = True) -> Choice:
    return Choice(
        extras=frozenset(map(canonical, extras)),
        groups=frozenset(map(canonical, groups)),
        default_groups=default_groups,
    )


def read(name: str, text: str, choice: Choice | None = None) -> Demand:
    return read_inputs([name], [], choice or Choice(), World(read_text=lambda _: text, env={}))


def sample(name: str, choice: Choice | None = None) -> Demand:
    return read(name, (SAMPLES / name).read_text("utf-8"), choice)


def pins(demand: Demand, target: object = LINUX) -> list[str]:
    (lock,) = demand.locks
    found = select(lock, target)  # type: ignore[arg-type]
    assert not isinstance(found, Unresolved), found.explanation
    return [str(pin.pin) for pin in found.resolution.pins]


def refusal(demand: Demand, target: object = LINUX) -> str:
    (lock,) = demand.locks
    found = select(lock, target)  # type: ignore[arg-type]
    assert isinstance(found, Unresolved)
    return found.explanation


def fault(name: str, text: str) -> str:
    with pytest.raises(RequirementsError) as caught:
        read(name, text)
    return str(caught.value)


UV = """version = 1
revision = 3
requires-python = ">=3.11"
{head}
[[package]]
name = "top"
version = "0.1.0"
source = {{ {root} }}
dependencies = [
    {{ name = "member" }},
    {{ name = "git-one" }},
    {{ name = "wheel-one" }},
]

[package.dev-dependencies]
dev = [{{ name = "tool" }}]
docs = [{{ name = "sphere" }}]

[[package]]
name = "member"
version = "0.1.0"
source = {{ editable = "packages/member" }}
dependencies = [{{ name = "deep", marker = "sys_platform == 'linux'" }}]

[[package]]
name = "git-one"
version = "1.0"
source = {{ git = "https://git.example/one?rev=main#abc" }}
dependencies = [{{ name = "deep" }}]

[[package]]
name = "wheel-one"
version = "1.0"
source = {{ url = "https://files.example/wheel_one-1.0-py3-none-any.whl" }}
wheels = [{{ url = "https://files.example/wheel_one-1.0-py3-none-any.whl", hash = "sha256:{sha}" }}]

[[package]]
name = "deep"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
sdist = {{ url = "https://files.example/deep-1.0.tar.gz", hash = "sha256:{sha}", size = 9 }}

[[package]]
name = "tool"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
wheels = [{{ url = "https://files.example/tool-1.0%2Bcpu-py3-none-any.whl", hash = "sha256:{sha}", size = 9 }}]

[[package]]
name = "sphere"
version = "1.0"
source = {{ git = "https://git.example/sphere#def" }}

[[package]]
name = "stray"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
"""


def uv(head: str = "", root: str = 'virtual = "."') -> str:
    return UV.format(head=head, root=root, sha=SHA)


PYLOCK = f"""lock-version = "1.0"
created-by = "test"
requires-python = ">=3.11"
environments = ["sys_platform == 'linux'", "sys_platform == 'win32'"]
extras = ["fast"]
dependency-groups = ["dev", "docs"]
default-groups = ["dev"]

[[packages]]
name = "plain"
version = "1.0"
wheels = [
    {{ url = "https://files.example/plain-1.0-py3-none-any.whl", hashes = {{ sha256 = "{SHA}" }} }},
    {{ url = "https://files.example/plain-1.0-py3-none-any-x86_64_v3.whl", hashes = {{ sha256 = "{SHA}" }} }},
]

[[packages]]
name = "quick"
version = "1.0"
marker = "'fast' in extras and sys_platform == 'linux'"
sdist = {{ url = "https://files.example/quick-1.0.tar.gz", hashes = {{ sha256 = "{SHA}" }} }}

[[packages]]
name = "tested"
version = "1.0"
marker = "'dev' in dependency_groups"
dependencies = [{{ name = "plain" }}]
wheels = [{{ path = "wheels/tested-1.0-py3-none-any.whl", hashes = {{ sha256 = "{SHA}" }} }}]

[[packages]]
name = "folder"
directory = {{ path = "libs/folder", editable = true }}

[[packages]]
name = "repo"
version = "2.0"
vcs = {{ type = "git", url = "https://git.example/repo", commit-id = "abc" }}
"""

PROJECT = """[project]
name = "My.Project"
version = "1"
requires-python = ">=3.12"
dependencies = [
    "plain>=1; python_version >= '3.12'",
    "forked",
]
[project.optional-dependencies]
fast = ["speedy"]
all = ["my-project[fast]; sys_platform == 'linux'", "other[x]"]
[dependency-groups]
test = ["pytest", {include-group = "base"}]
base = ["coverage"]
[tool.uv.sources]
forked = { git = "https://git.example/forked", rev = "v1" }
"""
