"""`farm explain`: whether a wheel exists after all for the client that wrote a log."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Literal

from farm.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farm.model.settings import Settings
    from farm.survey.why import Answer
    from farm.work.diagnosis.facts import Facts

# An answer about the index is an extra: the diagnosis never waits longer for it.
_PATIENCE = 3.0
_PLATFORMS = {
    "debian": "manylinux_2_31", "rhel": "manylinux_2_28", "linux": "manylinux_2_28", "alpine": "musllinux_1_2", "macos": "macosx_14_0",
}  # fmt: skip

Where = Literal["upstream", "farm", "lock", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelAnswer:
    """Where a wheel is for the client of a log. `file` is the best; `note` says what hides it from an old pip."""

    where: Where
    target: str
    file: str = ""
    note: str = ""


def wheel_exists(facts: Facts, settings: Callable[[], Settings], env: Mapping[str, str]) -> WheelAnswer | None:
    """Ask the index whether a wheel exists for the client that wrote a log; None where that cannot be told in three seconds.

    Never raises: an index that does not answer, or a log that names no package, is None.
    """
    found: list[WheelAnswer] = []

    def ask() -> None:
        try:
            answer = _ask(facts, settings(), env)
        except (FarmError, OSError, ValueError):
            return
        if answer:
            found.append(answer)

    asking = Thread(target=ask, name="farm-explain-index", daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    return found[0] if found else None


def _target_name(facts: Facts) -> str:
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(facts.arch, facts.arch) or "x86_64"
    python = f"cp{facts.python.replace('.', '')}"
    if facts.platform == "windows":
        return f"{python}-{'win_arm64' if arch == 'aarch64' else 'win32' if arch in ('i386', 'i686') else 'win_amd64'}"
    if facts.platform == "macos":
        arch = "arm64" if arch == "aarch64" else arch
    return f"{python}-{_PLATFORMS[facts.platform or 'linux']}_{arch}"


def _ask(facts: Facts, settings: Settings, env: Mapping[str, str]) -> WheelAnswer | None:
    if not facts.package or not facts.python.startswith("3."):
        return None
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - only when asked

    from farm.model.client import Client, parse_pip  # noqa: PLC0415 - the same
    from farm.model.demand import IndexOptions  # noqa: PLC0415 - the same
    from farm.model.target import parse_target  # noqa: PLC0415 - the same
    from farm.survey.why import Question, why  # noqa: PLC0415 - the same
    from farm.wire.assembly import Farm  # noqa: PLC0415 - the same

    target = parse_target(_target_name(facts))
    client = Client(version=parse_pip(facts.pip) if facts.pip else None)
    wanted = SpecifierSet(f"=={facts.version}") if facts.version else SpecifierSet()
    question = Question(name=facts.package, specifier=wanted, target=target, client=client)  # type: ignore[arg-type]
    with Farm(settings, env) as farm:
        reading = farm.reading(IndexOptions())
        upstream, own = reading.upstream.project(question.name), reading.farm.project(question.name)
        merged = why(question, upstream, own)[0]
    return _answer(merged, target.full_name)


def _answer(merged: Answer, target: str) -> WheelAnswer:
    hidden = next((out for out in merged.out if out.reason.startswith("hidden")), None)
    chosen = merged.chosen
    if chosen is not None and chosen.file.is_wheel:
        return WheelAnswer(where=chosen.where, target=target, file=chosen.file.filename)
    if hidden is not None:
        note = f"{hidden.reason.removeprefix('hidden: ')}: upgrade pip"
        return WheelAnswer(where=hidden.where, target=target, file=hidden.file.filename, note=note)
    return WheelAnswer(where="none", target=target)
