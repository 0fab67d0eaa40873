"""What an sdist says of itself, read from its files without running any: build requirements, metadata, need of a compiler.

Sources: PEP 517 and 518 (build system), PEP 621 ([project]), core metadata 2.2 ("Dynamic"), setuptools' requires.txt.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from farm.adapters.core_metadata import Fields, metadata_text, requires_txt
from farm.adapters.page_cache import keep
from farm.adapters.sdist_abi import stable_abi
from farm.adapters.sdist_archive import Sdist, read_sdist
from farm.adapters.sdist_clues import MOST_BYTES, Wanted, installed_by, read_clues
from farm.adapters.sdist_native import needs_compiler, needs_rust
from farm.adapters.toml_text import sub_table, toml_tables
from farm.model.job import SdistFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from farm.model.healing import Clues
    from farm.model.package import IndexFile, Pin
    from farm.ports import Downloads

_SCHEMA = 3
# PEP 517: what a project without a [build-system] table is built with.
_DEFAULT_REQUIRES = ("setuptools>=40.8.0",)
_DEFAULT_BACKEND = "setuptools.build_meta:__legacy__"
_HATCH_ADDS = frozenset({"hooks", "dependencies", "require-runtime-dependencies", "require-runtime-features"})
_WRITTEN_BY_CYTHON = frozenset({".c", ".cpp", ".cxx", ".cc"})
_STATIC_FIELDS = frozenset({"requires-dist", "requires-python", "provides-extra"})


class Sdists:
    """Satisfies `ports.Sdists`; facts are kept in `cache` by the sdist's sha256."""

    def __init__(self, downloads: Downloads, cache: Path) -> None:
        self._downloads = downloads
        self._folder = cache / f"sdist-facts-{_SCHEMA}"

    def facts(self, pin: Pin, file: IndexFile) -> SdistFacts:
        """Return the facts; UpstreamError, IntegrityError and StoreError as in Downloads.fetch, BadSdist for no sdist."""
        kept = self._folder / f"{file.sha256}-{pin.name}-{pin.version}.json" if file.sha256 else None
        if kept is not None:
            try:
                return msgspec.json.decode(kept.read_bytes(), type=SdistFacts)
            except (OSError, msgspec.DecodeError):
                pass
        facts = sdist_facts(pin, read_sdist(self._downloads.fetch(file)))
        if kept is not None:
            keep(kept, msgspec.json.encode(facts))
        return facts

    def clues(self, file: IndexFile) -> Clues:
        """Return what the sdist's files name of the system; failures as in `facts`."""
        return read_clues(read_sdist(self._downloads.fetch(file), Wanted(), MOST_BYTES))


def sdist_facts(pin: Pin, sdist: Sdist) -> SdistFacts:
    """Return the facts of an sdist's files."""
    pyproject = toml_tables(sdist.text("pyproject.toml"))
    system = sub_table(pyproject, "build-system")
    requires = _DEFAULT_REQUIRES if "requires" not in system else _strings(system.get("requires"))
    backend = system.get("build-backend")
    backend = backend if isinstance(backend, str) else _DEFAULT_BACKEND
    fields, provisional = _metadata(sdist, pyproject)
    native = needs_compiler(sdist, pyproject, backend, requires)
    return SdistFacts(
        build_requires=requires,
        backend=backend,
        native=native,
        rust=native and needs_rust(sdist, backend, requires),
        asks=_asks(backend, pyproject),
        metadata=None if fields is None else metadata_text(pin, fields),
        provisional=provisional,
        hints=_hints(sub_table(sub_table(pyproject, "tool"), "cibuildwheel")),
        stable_abi=stable_abi(sdist, pyproject) if native else "",
        cython=_cython(sdist.names),
    )


def _cython(names: Iterable[str]) -> bool:
    """True where a .pyx has the C beside it that Cython wrote from it."""
    paths = [PurePosixPath(name) for name in names]
    written = {path.with_suffix("") for path in paths if path.suffix in _WRITTEN_BY_CYTHON}
    return any(path.suffix == ".pyx" and path.with_suffix("") in written for path in paths)


def _hints(settings: dict[str, Any]) -> tuple[str, ...]:
    """Return the packages that cibuildwheel's `before-all` and `before-build` install on Linux."""
    texts: list[str] = []
    for table in (settings, sub_table(settings, "linux"), *_overrides(settings)):
        for key in ("before-all", "before-build"):
            value = table.get(key)
            texts += [value] if isinstance(value, str) else _strings(value)
    return tuple(dict.fromkeys(name for text in texts for name in installed_by(text)))


def _overrides(settings: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    found = settings.get("overrides")
    return tuple(one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()


def _asks(backend: str, pyproject: dict[str, Any]) -> bool:
    """Tell whether get_requires_for_build_wheel may add something; what each backend answers was read in its source."""
    family = backend.partition(".")[0].partition(":")[0]
    tool = sub_table(pyproject, "tool")
    if family in {"poetry", "uv_build"}:
        return False
    if family == "hatchling":
        return bool(_HATCH_ADDS & set(_keys(sub_table(sub_table(tool, "hatch"), "build"))))
    if family == "maturin":
        return sub_table(tool, "maturin").get("bindings") == "cffi"
    if family == "flit_core":
        return bool(sub_table(pyproject, "project").get("dynamic"))
    return True


def _keys(table: dict[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield key
        if isinstance(value, dict):
            yield from _keys(value)


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _metadata(sdist: Sdist, pyproject: dict[str, Any]) -> tuple[Fields | None, bool]:
    """Return the dependencies and whether they are provisional: a guess that only the backend can confirm."""
    # Imported late: it costs a fifth of the time of a run that finds everything cached.
    from packaging.metadata import parse_email  # noqa: PLC0415

    raw, _ = parse_email(sdist.text("PKG-INFO"))
    read = Fields(
        requires_dist=tuple(raw.get("requires_dist", ())),
        requires_python=raw.get("requires_python"),
        extras=tuple(raw.get("provides_extra", ())),
    )
    # setuptools writes the names in lower case, the specification in title case.
    dynamic = {name.casefold() for name in raw.get("dynamic", ())}
    if _at_least_2_2(raw.get("metadata_version", "")) and not dynamic & _STATIC_FIELDS:
        return read, False
    project = _project(pyproject)
    if project is not None:
        return project, False
    return _guess(sdist, read), True


def _at_least_2_2(version: str) -> bool:
    major, _, minor = version.strip().partition(".")
    return major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= (2, 2)


def _project(pyproject: dict[str, Any]) -> Fields | None:
    """Return [project]'s dependencies when none of the fields that matter is dynamic."""
    project = pyproject.get("project")
    if not isinstance(project, dict):
        return None
    dynamic = set(_strings(project.get("dynamic")))
    if dynamic & {"dependencies", "optional-dependencies", "requires-python"}:
        return None
    python = project.get("requires-python")
    optional = {name: _strings(value) for name, value in sub_table(project, "optional-dependencies").items()}
    return Fields(
        requires_dist=_strings(project.get("dependencies")) + tuple(_with_extras(optional)),
        requires_python=python if isinstance(python, str) else None,
        extras=tuple(optional),
    )


def _with_extras(optional: dict[str, tuple[str, ...]]) -> list[str]:
    found = []
    for extra, requirements in optional.items():
        for text in requirements:
            bare, _, marker = text.partition(";")
            condition = f"({marker.strip()}) and extra == '{extra}'" if marker else f"extra == '{extra}'"
            # A URL needs the space, so that the semicolon is not read as its part.
            found.append(f"{bare.strip()} ; {condition}")
    return found


def _guess(sdist: Sdist, read: Fields) -> Fields | None:
    """Return what setup.py computed on its author's machine, where that was left behind in an egg-info or in PKG-INFO."""
    if read.requires_dist:
        return read
    eggs = [name for name in sdist.names if name.partition("/")[0].endswith(".egg-info") or ".egg-info/" in name]
    if not eggs:
        return None
    text = next((sdist.texts[name] for name in eggs if name.endswith("/requires.txt") and name in sdist.texts), "")
    guessed, extras = requires_txt(text)
    return Fields(requires_dist=guessed, requires_python=read.requires_python, extras=extras)
