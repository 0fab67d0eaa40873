"""What pip on this machine is configured to use, read as pip reads it, without starting pip.

Source: pip's documentation, "Configuration" (files, sections, environment variables, precedence). The index that pip
uses when nothing is configured is read from pip's own help text, so no index's name is written here.
"""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from farm.adapters.process import Command, redact, run
from farm.errors import FarmError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# pip merges a command's own section over [global]; the farm does what `pip download` and `pip install` do.
_SECTIONS = ("global", "download", "install")
_DEFAULT = re.compile(r"default:?\s+<?(https?://[^\s)>\]]+)")
_TRUE = frozenset({"1", "y", "yes", "t", "true", "on"})
_FALSE = frozenset({"", "0", "n", "no", "f", "false", "off"})
_PIP_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IndexSettings:
    """Where the upstream index is and how it is reached.

    URLs keep their credentials; `str()` and `repr()` do not show them. `cert` is a CA bundle (file or folder),
    `timeout` is in seconds, `trusted_hosts` are `host` or `host:port` whose certificate is not checked.
    """

    url: str
    extra_urls: tuple[str, ...] = ()
    cert: str | None = None
    proxy: str | None = None
    timeout: float = _PIP_TIMEOUT
    trusted_hosts: tuple[str, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.url, *self.extra_urls)

    def __str__(self) -> str:
        return " ".join(map(redact, self.urls))

    def __repr__(self) -> str:
        fields = ((name, getattr(self, name)) for name in self.__slots__)
        return redact(f"IndexSettings({', '.join(f'{name}={value!r}' for name, value in fields)})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where pip's configuration lies on this machine: the environment, the interpreter and its prefix, a folder for our cache."""

    env: Mapping[str, str]
    cache: Path
    executable: str = sys.executable
    prefix: Path = Path(sys.prefix)
    system: tuple[Path, ...] | None = None


def read_settings(machine: Machine) -> IndexSettings:
    """Return what pip is configured to use. UsageError when pip's configuration is malformed or switches indexes off."""
    options = _options(machine)
    if _flag(options, "no-index"):
        message = "pip is configured with no-index, but the farm reads an index"
        raise UsageError(message, solution="set `url` under [index] in config.toml")
    url = options.get("index-url") or default_index(machine)
    if urlsplit(url).scheme not in {"http", "https"}:
        message = f"expected an http or https URL as pip's index-url, found {redact(url)!r}"
        raise UsageError(message, solution="set `url` under [index] in config.toml")
    extra = options.get("extra-index-url", "").split()
    return IndexSettings(
        url=url,
        # pip also takes local folders here; the farm reads indexes only.
        extra_urls=tuple(e for e in dict.fromkeys(extra) if urlsplit(e).scheme in {"http", "https"}),
        # requests, which is inside pip, honours these two variables when pip itself has no `cert`.
        cert=options.get("cert") or machine.env.get("REQUESTS_CA_BUNDLE") or machine.env.get("CURL_CA_BUNDLE") or None,
        proxy=options.get("proxy") or None,
        timeout=_seconds(options),
        trusted_hosts=tuple(options.get("trusted-host", "").split()),
    )


def with_indexes(settings: IndexSettings, url: str | None, extra_urls: tuple[str, ...]) -> IndexSettings:
    """Return the settings with the indexes of a requirements file or of config.toml; `url` replaces the extra ones too."""
    if url is not None:
        return replace(settings, url=url, extra_urls=extra_urls)
    return replace(settings, extra_urls=tuple(dict.fromkeys((*settings.extra_urls, *extra_urls))))


def _options(machine: Machine) -> dict[str, str]:
    by_section: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for path in _files(machine):
        parsed = _parse(path)
        for section in _SECTIONS:
            if parsed.has_section(section):
                pairs = ((_option_name(name), value) for name, value in parsed.items(section))
                by_section[section].update((name, value) for name, value in pairs if value)
    merged: dict[str, str] = {}
    for section in _SECTIONS:
        merged.update(by_section[section])
    merged.update(
        (_option_name(name.removeprefix("PIP_")), value)
        for name, value in machine.env.items()
        if name.startswith("PIP_") and value
    )
    # pip's option is `--timeout`, with `--default-timeout` as its older name.
    if "default-timeout" in merged:
        merged.setdefault("timeout", merged["default-timeout"])
    return merged


def _option_name(name: str) -> str:
    return name.lower().removeprefix("--").replace("_", "-")


def _files(machine: Machine) -> Iterator[Path]:
    """Yield pip's configuration files that exist, weakest first."""
    env = machine.env
    own = env.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    candidates = [
        *(machine.system if machine.system is not None else _system_files(env)),
        home / ".pip" / "pip.conf",
        *([home / "Library/Application Support/pip/pip.conf"] if sys.platform == "darwin" else []),
        (Path(env["XDG_CONFIG_HOME"]) if env.get("XDG_CONFIG_HOME") else home / ".config") / "pip" / "pip.conf",
        machine.prefix / "pip.conf",
        *([Path(own)] if own else []),
    ]
    yield from (path for path in candidates if path.is_file())


def _system_files(env: Mapping[str, str]) -> tuple[Path, ...]:
    if sys.platform == "darwin":
        return (Path("/Library/Application Support/pip/pip.conf"),)
    folders = (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    return (*(Path(folder) / "pip" / "pip.conf" for folder in folders if folder), Path("/etc/pip.conf"))


def _parse(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text("utf-8"), source=str(path))
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        text = redact(" ".join(str(error).split()))
        message = f"expected pip's configuration in {path}, found what cannot be read: {text}"
        raise UsageError(
            message, solution=f"correct {path}; `pip config debug` shows the files that pip reads"
        ) from error
    return parser


def _flag(options: Mapping[str, str], name: str) -> bool:
    text = options.get(name, "").strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    message = f"expected yes or no as pip's {name}, found {text!r}"
    raise UsageError(message, solution="correct pip's configuration; `pip config list` shows it")


def _seconds(options: Mapping[str, str]) -> float:
    text = options.get("timeout", "")
    try:
        return float(text) if text else _PIP_TIMEOUT
    except ValueError as error:
        message = f"expected seconds as pip's timeout, found {text!r}"
        raise UsageError(message, solution="correct pip's configuration; `pip config list` shows it") from error


def default_index(machine: Machine) -> str:
    """Return the index that pip uses when nothing is configured: its help says so.

    Asked of pip (else of uv) once and remembered until the program changes. UsageError when neither is there.
    """
    remembered = machine.cache / "default-index.json"
    for argv, key in _askable(machine):
        known = _remembered(remembered).get(key)
        if known:
            return known
        found = _ask(machine, argv)
        if found:
            machine.cache.mkdir(parents=True, exist_ok=True)
            _replace(remembered, msgspec.json.encode({key: found}))
            return found
    message = "no index is configured for pip, and neither pip nor uv is here to tell its default"
    raise UsageError(message, solution="set `url` under [index] in config.toml")


def _askable(machine: Machine) -> Iterator[tuple[tuple[str, ...], str]]:
    pip = importlib.util.find_spec("pip")
    if machine.executable == sys.executable and pip is not None and pip.origin is not None:
        yield (machine.executable, "-m", "pip", "install", "--help"), _key(machine.executable, pip.origin)
    if importlib.util.find_spec("uv") is not None:
        from uv import find_uv_bin  # noqa: PLC0415 - asked once in a machine's life

        uv = find_uv_bin()
        yield (uv, "pip", "install", "--help"), _key(uv, uv)


def _key(executable: str, origin: str) -> str:
    return f"{executable} {origin} {Path(origin).stat().st_mtime_ns}"


def _remembered(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def _ask(machine: Machine, argv: tuple[str, ...]) -> str | None:
    clean = {k: v for k, v in machine.env.items() if not k.startswith(("PIP_", "UV_"))}
    # The columns keep the help text from breaking the URL; the null device is pip's way to read no configuration.
    env = {**clean, "PIP_CONFIG_FILE": os.devnull, "COLUMNS": "400", "NO_COLOR": "1"}
    try:
        done = run(Command(argv=argv, env=env, timeout=60))
    except FarmError:
        return None
    about = re.search(r"--(?:default-)?index(?:-url)?\b.*?default:?\s+<?https?://[^\s)>\]]+", done.stdout, re.DOTALL)
    match = _DEFAULT.search(about[0]) if done.ok and about else None
    return match[1] if match else None


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fresh.write_bytes(data)
    fresh.replace(path)
