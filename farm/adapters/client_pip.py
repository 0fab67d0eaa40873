"""The pip of a client, asked by a script that runs in its interpreter: what it is configured to do, and which file it would take.

Pip itself reads its configuration, the requirement files and the index, and computes the places in its cache: nothing of that is
done a second time here, where it could come out otherwise. No package's code runs.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from farm.adapters.pipconfig import IndexSettings
from farm.adapters.process import Command, redact, run
from farm.errors import FarmError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK = "farm-pip "
_SECONDS = 600
_T = TypeVar("_T")


class Place(msgspec.Struct, frozen=True, array_like=True):
    """One place that pip reads: a file's path or "environment", pip's kind of it, its options (`global.index-url`), file mode."""

    where: str
    kind: str
    values: dict[str, str]
    mode: int


class PipFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a pip is, and would install with. URLs keep their credentials. `cache_trouble` is why its cache is off, or ""."""

    pip: str
    python: str
    tags: tuple[str, ...]
    index_url: str
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    proxy: str | None = None
    prefer_binary: bool = False
    require_venv: bool = False
    virtualenv: bool = False
    no_binary: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()
    uploaded_prior_to: str | None = None
    cache: str | None = None
    cache_trouble: str = ""
    places: tuple[Place, ...] = ()


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What pip would take for a requirement. With state "found": a file; `folder` is an sdist's entry in pip's wheel cache."""

    name: str
    asked: str
    state: Literal["found", "none", "unknown", "direct", "not-here"]
    faults: tuple[str, ...] = ()
    version: str = ""
    filename: str = ""
    url: str = ""
    hash: tuple[str, str] | None = None
    wheel: bool = False
    local: bool = False
    folder: str | None = None


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """Pip's answer for all requirements."""

    cache: str | None
    cache_trouble: str
    rows: tuple[Choice, ...]
    require_hashes: bool = False


class ClientPip:
    """The pip of the interpreter at `python`, in the environment `env`. Every method raises UsageError when it cannot answer."""

    def __init__(self, python: str, env: Mapping[str, str]) -> None:
        self._python = python
        self._env = env

    def settings(self, arguments: tuple[str, ...] = ()) -> PipFacts:
        """Return what pip is configured to do; `arguments` are further ones of `pip install`."""
        return self._ask({"ask": "settings", "arguments": arguments}, PipFacts)

    def choose(self, arguments: tuple[str, ...]) -> Choices:
        """Return which file `pip install ARGUMENTS` would take for each requirement named there; dependencies are not followed."""
        return self._ask({"ask": "choose", "arguments": arguments}, Choices)

    def _ask(self, question: dict[str, Any], kind: type[_T]) -> _T:
        script = files("farm.adapters.scripts").joinpath("ask_pip.py").read_text(encoding="utf-8")
        command = Command(
            argv=(self._python, "-c", script),
            env=dict(self._env),
            input=msgspec.json.encode(question),
            timeout=_SECONDS,
        )
        try:
            done = run(command)
        except FarmError as error:
            raise UsageError(
                f"{self._python}: {error.reason}", solution="name an interpreter with --python PATH"
            ) from error
        answer = next((line for line in reversed(done.stdout.splitlines()) if line.startswith(_MARK)), None)
        if not done.ok or answer is None:
            raise UsageError(
                f"{self._python}: expected a Python with pip 20.2 or newer, found: {_last(done.stderr, done.returncode)}",
                solution="name another interpreter with --python PATH, or correct what pip complains of (`python -m pip config debug`)",
            )
        try:
            told = msgspec.json.decode(answer.removeprefix(_MARK), type=dict[str, Any])
            if "error" in told:
                raise UsageError(
                    f"pip: {redact(told['error'])}", solution="correct the requirements or pip's configuration"
                )
            return msgspec.convert(told, kind)
        except msgspec.MsgspecError as error:
            raise FarmError(
                f"{self._python}: pip's answer is not understood: {error}", solution="report it with pip's version"
            ) from error


def _last(text: str, code: int) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return redact(lines[-1].strip()) if lines else f"exit code {code} and no answer"


def farm_access(facts: PipFacts, url: str, env: Mapping[str, str]) -> IndexSettings:
    """Return how to reach the farm at `url` from a client: with pip's certificates, proxy and trusted hosts."""
    return IndexSettings(
        url=url,
        cert=facts.cert or env.get("REQUESTS_CA_BUNDLE") or env.get("CURL_CA_BUNDLE") or None,
        proxy=facts.proxy or None,
        trusted_hosts=facts.trusted_hosts,
    )
