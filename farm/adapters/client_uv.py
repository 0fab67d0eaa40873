"""What uv on a client is configured to do, and which wheels it has built itself. Reads files; asks uv only for its cache and version.

Sources: uv's documentation ("Configuration files", "Environment variables", "Package indexes", "Caching").
"""

from __future__ import annotations

import re
import shutil
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.adapters.process import Command, run
from farm.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UvIndex:
    """An index that uv is told of; `where` is a file's path or a variable. URLs keep their credentials."""

    url: str
    where: str
    default: bool = False
    explicit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UvFile:
    """A configuration file that uv reads; `fault` is why it cannot."""

    path: Path
    mode: int
    content: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UvFacts:
    """uv here. The indexes are in uv's order of strength, extra ones before the default one; `built` are (name, version)."""

    version: str
    files: tuple[UvFile, ...] = ()
    indexes: tuple[UvIndex, ...] = ()
    strategy: str = "first-index"
    exclude_newer: tuple[str, str] | None = None
    no_binary: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    system_certificates: bool = False
    built: frozenset[tuple[str, str]] = frozenset()

    @property
    def defaults(self) -> tuple[UvIndex, ...]:
        return tuple(index for index in self.indexes if index.default)

    @property
    def extras(self) -> tuple[UvIndex, ...]:
        return tuple(index for index in self.indexes if not index.default and not index.explicit)


def uv_facts(env: Mapping[str, str], folder: Path) -> UvFacts | None:
    """Return what the uv on PATH would do in `folder`; None where there is no uv."""
    program = shutil.which("uv", path=env.get("PATH"))
    if program is None:
        return None
    files = tuple(_read(path) for path in _files(env, folder))
    settings = [(str(file.path), file.content) for file in files]
    first = _First(env, settings)
    return UvFacts(
        version=_ask(program, env, "--version").removeprefix("uv ").partition(" ")[0],
        files=files,
        indexes=tuple(_indexes(env, settings)),
        strategy=(first.of("UV_INDEX_STRATEGY", "index-strategy") or ("first-index", ""))[0],
        exclude_newer=first.of("UV_EXCLUDE_NEWER", "exclude-newer"),
        no_binary=tuple(_no_binary(env, settings)),
        find_links=tuple(_find_links(env, settings)),
        system_certificates=any(
            (first.of(*names) or ("", ""))[0].lower() in _TRUE
            for names in (("UV_SYSTEM_CERTS", "system-certs"), ("UV_NATIVE_TLS", "native-tls"))
        ),
        built=_built(_ask(program, env, "cache", "dir")),
    )


def _ask(program: str, env: Mapping[str, str], *arguments: str) -> str:
    try:
        done = run(Command(argv=(program, *arguments), env=dict(env), timeout=30))
    except FarmError:
        return ""
    return done.stdout.strip() if done.ok else ""


def _files(env: Mapping[str, str], folder: Path) -> Iterator[Path]:
    """Yield the files that uv reads here, strongest first."""
    if env.get("UV_NO_CONFIG", "").lower() in _TRUE:
        return
    own = env.get("UV_CONFIG_FILE")
    if own:
        yield Path(own)
        return
    for place in (folder, *folder.parents):
        found = [path for name in ("uv.toml", "pyproject.toml") if (path := place / name).is_file() and _counts(path)]
        if found:
            yield found[0]
            break
    home = Path(env.get("HOME", "/"))
    system = (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    user = Path(env["XDG_CONFIG_HOME"]) if env.get("XDG_CONFIG_HOME") else home / ".config"
    machine = next((path for part in system if (path := Path(part) / "uv/uv.toml").is_file()), Path("/etc/uv/uv.toml"))
    yield from (path for path in (user / "uv/uv.toml", machine) if path.is_file())


def _counts(path: Path) -> bool:
    return path.name == "uv.toml" or "uv" in _table(path).get("tool", {})


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _read(path: Path) -> UvFile:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        return UvFile(path=path, mode=0, fault=str(error))
    table = content.get("tool", {}).get("uv", {}) if path.name == "pyproject.toml" else content
    return UvFile(path=path, mode=mode, content=table if isinstance(table, dict) else {})


class _First:
    """The strongest place that says something: the environment, then the files in their order; [pip] counts for `uv pip`."""

    def __init__(self, env: Mapping[str, str], settings: list[tuple[str, Mapping[str, Any]]]) -> None:
        self._env = env
        self._settings = settings

    def of(self, variable: str, key: str) -> tuple[str, str] | None:
        if self._env.get(variable):
            return self._env[variable], variable
        for where, content in self._settings:
            for table in (content, content.get("pip", {})):
                if isinstance(table, dict) and table.get(key) not in {None, ""}:
                    value = table[key]
                    return str(value).lower() if isinstance(value, bool) else str(value), where
        return None


def _indexes(env: Mapping[str, str], settings: list[tuple[str, Mapping[str, Any]]]) -> Iterator[UvIndex]:
    for variable, default in (
        ("UV_INDEX", False),
        ("UV_EXTRA_INDEX_URL", False),
        ("UV_DEFAULT_INDEX", True),
        ("UV_INDEX_URL", True),
    ):
        for text in env.get(variable, "").split():
            yield UvIndex(url=re.sub(r"^[\w-]+=(?=https?:)", "", text), where=variable, default=default)
    for where, content in settings:
        for entry in content.get("index", ()) if isinstance(content.get("index", ()), list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("url"), str):
                yield UvIndex(
                    url=entry["url"],
                    where=where,
                    default=entry.get("default") is True,
                    explicit=entry.get("explicit") is True,
                )
        for table in (content, content.get("pip", {})):
            for url in _texts(table, "extra-index-url"):
                yield UvIndex(url=url, where=where)
            for url in _texts(table, "index-url"):
                yield UvIndex(url=url, where=where, default=True)


def _texts(table: object, key: str) -> list[str]:
    value = table.get(key, []) if isinstance(table, dict) else []
    return [value] if isinstance(value, str) else [text for text in value if isinstance(text, str)]


def _no_binary(env: Mapping[str, str], settings: list[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    if env.get("UV_NO_BINARY", "").lower() in _TRUE or any(content.get("no-binary") is True for _, content in settings):
        yield ":all:"
    yield from env.get("UV_NO_BINARY_PACKAGE", "").split()
    for _, content in settings:
        yield from _texts(content, "no-binary-package")
        yield from _texts(content.get("pip", {}), "no-binary")


def _find_links(env: Mapping[str, str], settings: list[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    yield from filter(None, (part.strip() for part in env.get("UV_FIND_LINKS", "").split(",")))
    for _, content in settings:
        yield from _texts(content, "find-links")


def _built(cache: str) -> frozenset[tuple[str, str]]:
    """Read off uv's cache what it built from sdists of an index: sdists-v*/(index/<hash> | pypi)/<name>/<version>/<id>/*.whl."""
    if not cache or not Path(cache).is_dir():
        return frozenset()
    found = (path for pattern in ("index/*", "pypi") for path in Path(cache).glob(f"sdists-v*/{pattern}/*/*/*/*.whl"))
    return frozenset((path.parents[2].name, path.parents[1].name) for path in found)
