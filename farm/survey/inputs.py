"""Any mix of requirements files, locks and pyproject.toml to one `Demand`. What a file is, its name tells, else its content."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from farm.errors import UsageError
from farm.model.demand import Demand
from farm.survey.reading.faults import Fault, RequirementsError, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farm.model.lock import Choice
    from farm.survey.locks.document import Found

Kind = Literal["requirements", "pylock", "uv", "poetry", "pipfile", "pyproject"]

STDIN = "-"
_NAMES: tuple[tuple[str, Kind], ...] = (
    (r"pylock(\.[^.]+)?\.toml", "pylock"),
    (r"uv\.lock|.+\.py\.lock", "uv"),
    (r"poetry\.lock", "poetry"),
    (r"Pipfile\.lock", "pipfile"),
    (r"pyproject\.toml", "pyproject"),
    (r".+\.(txt|in)", "requirements"),
)
_OTHERS = {
    "Pipfile": "run `pipenv lock` and give Pipfile.lock",
    "pdm.lock": "run `pdm export --format pylock --output pylock.toml` and give pylock.toml",
    "setup.py": "give the requirements file or the pyproject.toml that has the dependencies",
    "setup.cfg": "give the requirements file or the pyproject.toml that has the dependencies",
    "environment.yml": "give a requirements file with what pip is to install",
    "environment.yaml": "give a requirements file with what pip is to install",
}
_HEADER = re.compile(r"^[ \t]*\[\[?[\w.\"' -]+\]\]?[ \t]*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What reading asks of the world: as in `read_requirements`; `read_text` also takes "-" for standard input."""

    read_text: Callable[[str], str]
    env: Mapping[str, str]
    exists: Callable[[str], bool] | None = None


def read_inputs(paths: Sequence[str], constraints: Sequence[str], choice: Choice, world: World) -> Demand:
    """Return all that the inputs ask for: first the requirements files together, in pip's order, then the others in theirs.

    Raises RequirementsError with the faults of all, and UsageError for an extra or group that no input has.
    """
    return _Inputs(world, choice).read(paths, constraints)


def kind_of(path: str, text: Callable[[], str]) -> Kind:
    """Return what a file is, by its name, else by its content. UsageError for another tool's file that cannot be read."""
    plain = re.split(r"[?#]", path, maxsplit=1)[0] if "://" in path else path
    name = plain.rpartition("/")[2]
    if name in _OTHERS:
        raise UsageError(f"expected a requirements file, a lock or pyproject.toml, found {path}", solution=_OTHERS[name])
    for pattern, kind in _NAMES:
        if re.fullmatch(pattern, name):
            return kind
    return _kind_by_content(text())


def _kind_by_content(text: str) -> Kind:
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        return "pipfile"
    header = _HEADER.search(text)
    top = text[: header.start()] if header else text
    if re.search(r"^(lock-version|created-by)\s*=\s*[\"']", top, re.MULTILINE):
        return "pylock"
    if re.search(r"^version\s*=\s*\d+\s*$", top, re.MULTILINE):
        return "uv"
    if header is None:
        return "requirements"
    if re.search(r"^lock-version\s*=", text[header.start() :], re.MULTILINE):
        return "poetry"
    return "pyproject" if re.search(r"^\[(project|dependency-groups)[\].]", text, re.MULTILINE) else "requirements"


class _Inputs:
    def __init__(self, world: World, choice: Choice) -> None:
        self._world = world
        self._choice = choice
        self._texts: dict[str, str] = {}
        self._faults: list[Fault] = []

    def read(self, paths: Sequence[str], constraints: Sequence[str]) -> Demand:
        kinds = {path: self._kind(path) for path in paths}
        plain = [path for path in paths if kinds[path] == "requirements"]
        demand = self._requirements(plain, constraints) if plain or constraints else Demand()
        found = [self._other(path, kind) for path, kind in kinds.items() if kind not in {None, "requirements"}]
        if self._faults:
            raise RequirementsError(tuple(dict.fromkeys(self._faults)))
        read = [each for each in found if each is not None]
        self._check_choice(read)
        for each in read:
            demand += each.demand
        return demand

    def _text(self, path: str) -> str:
        """Read a file once: standard input gives its text only once, and a page behind a URL may change."""
        if path not in self._texts:
            self._texts[path] = self._world.read_text(path)
        return self._texts[path]

    def _kind(self, path: str) -> Kind | None:
        try:
            return kind_of(path, lambda: self._text(path))
        except (OSError, UnicodeError):
            return "requirements"  # whose reader tells what is wrong with a file that cannot be read

    def _requirements(self, paths: Sequence[str], constraints: Sequence[str]) -> Demand:
        from farm.survey.read import read_requirements  # noqa: PLC0415 - a lock needs no requirements parser

        world = self._world
        try:
            return read_requirements(paths, constraints, read_text=self._text, env=world.env, exists=world.exists)
        except RequirementsError as error:
            self._faults += error.faults
            return Demand()

    def _other(self, path: str, kind: Kind | None) -> Found | None:
        from farm.survey.locks.document import Document  # noqa: PLC0415 - requirements.txt needs no lock reader

        try:
            document = Document(file=path, text=self._text(path).removeprefix("\ufeff"), choice=self._choice)
            return _reader(kind)(document)
        except (OSError, UnicodeError) as error:
            self._faults.append(unreadable(path, error, expected="a lock or pyproject.toml"))
        except RequirementsError as error:
            self._faults += error.faults
        return None

    def _check_choice(self, found: Sequence[Found]) -> None:
        for what, wanted, known in (
            ("extra", self._choice.extras, frozenset().union(*(each.extras for each in found))),
            ("group", self._choice.groups, frozenset().union(*(each.groups for each in found))),
        ):
            for name in sorted(wanted - known):
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"perhaps you meant --{what} {near[0]}" if near else f"known: {', '.join(sorted(known)) or 'none'}"
                raise UsageError(f"--{what} {name}: expected the name of one in the inputs, found none such", solution=hint)


def _reader(kind: Kind | None) -> Callable[..., Found]:
    """Import only the reader that is needed."""
    if kind == "pylock":
        from farm.survey.locks.pylock import read_pylock as reader  # noqa: PLC0415
    elif kind == "uv":
        from farm.survey.locks.uv import read_uv as reader  # noqa: PLC0415
    elif kind == "poetry":
        from farm.survey.locks.poetry import read_poetry as reader  # noqa: PLC0415
    elif kind == "pipfile":
        from farm.survey.locks.pipfile import read_pipfile as reader  # noqa: PLC0415
    else:
        from farm.survey.locks.pyproject import read_pyproject as reader  # noqa: PLC0415
    return reader
