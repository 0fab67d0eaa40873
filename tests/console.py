"""The console blocks of README.md and docs/: read, played in order, and compared with what they show.

A block that begins with ```console is played without Docker and network, one that begins with ```console docker with both.
`$ ` begins a command, `> ` goes on with it, the rest is what it prints: each line must come, in this order; … stands for
anything. A command must succeed unless `$ echo $?` follows and shows another exit code. Commands that begin with pip or
uv are those of another machine: a fresh container without a compiler.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_BLOCK = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BUILD = re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{6}\b")
_CLIENT = ("pip ", "uv ")
_SERVE = "farm serve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command and the lines that it is said to print."""

    page: str
    command: str
    shown: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {self.command.splitlines()[0]}"


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """Return (rest of the opening line, text) of a page's fenced blocks of a language ("" for none)."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(rest.strip(), text) for name, rest, text in found if name == language]


def steps(page: Path, kind: str) -> tuple[Step, ...]:
    """Return a page's commands in order; `kind` is "docker", "" for the quick ones, or "*" for both."""
    found: list[tuple[str, list[str]]] = []
    for rest, text in blocks(page, "console"):
        if kind not in {rest, "*"}:
            continue
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.startswith("> ") and found and not found[-1][1]:
                found[-1] = (f"{found[-1][0]}\n{line[2:]}", [])
            else:
                found[-1][1].append(line)
    return tuple(Step(page=page.name, command=command, shown=tuple(shown)) for command, shown in found)


def missing(shown: tuple[str, ...], printed: str) -> str | None:
    """Return the first shown line that does not come, in order; None when all do."""
    lines = iter(printed.splitlines())
    for line in shown:
        if not line.strip() or line.strip() == "…":
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in _squeezed(line).split("…")))
        if not any(pattern.fullmatch(_squeezed(actual)) for actual in lines):
            return line
    return None


def _squeezed(line: str) -> str:
    """Columns are as wide as their content, which … hides."""
    return " ".join(line.split())


@dataclass(kw_only=True)
class Player:
    """A folder like a fresh checkout, and a shell in it with `farm` on its PATH. `client` is a runtime image."""

    folder: Path
    client: str = ""
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    port: int = 0
    code: int = 0
    printed: str = ""
    seconds: float = 0.0
    build: str = ""
    server: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(ROOT / "examples", self.folder / "examples")
        config = (ROOT / "config.toml").read_text(encoding="utf-8")
        (self.folder / "config.toml").write_text(self._ported(config), encoding="utf-8")
        program = self.folder.parent / f"{self.folder.name}-bin" / "farm"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m farm "$@"\n')
        program.chmod(0o755)
        gone = ("FARM_CONFIG", "COLUMNS")
        self.environment = {k: v for k, v in self.environment.items() if k not in gone}
        self.environment["PATH"] = f"{program.parent}:{Path(sys.executable).parent}:{self.environment['PATH']}"

    def _ported(self, text: str) -> str:
        return text.replace("8417", str(self.port)) if self.port else text

    def play(self, step: Step) -> None:
        """Run a step and compare; AssertionError tells what was printed instead."""
        if step.command == "echo $?":
            assert step.shown == (str(self.code),), f"{step}: expected exit code {step.shown}, found {self.code}\n{self.printed}"
            self.code = 0
            return
        assert self.code == 0, f"before {step}: exit code {self.code}\n{self.printed}"
        self.run(step.command)
        shown = tuple(self._ported(_BUILD.sub("…", line)) for line in step.shown)
        lost = missing(shown, self.printed)
        assert lost is None, f"{step}: expected the line {lost!r}, found\n{self.printed}"

    def run(self, command: str) -> str:
        """Run a command and return what it printed, stdout and stderr as they came."""
        command = self._ported(_BUILD.sub(self.build, command) if self.build else command)
        started = time.monotonic()
        if command.startswith(_SERVE):
            self._serve(command)
        elif command.startswith(_CLIENT):
            self._run(self._at_client(command))
        else:
            self._run(["bash", "-c", command])
        self.seconds = time.monotonic() - started
        ids = _BUILD.findall(self.printed)
        self.build = ids[-1] if ids else self.build
        return self.printed

    def _run(self, argv: list[str]) -> None:
        ran = subprocess.run(
            argv, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=3000,
        )  # fmt: skip
        self.code, self.printed = ran.returncode, ran.stdout

    def _serve(self, command: str) -> None:
        output = self.folder / "serve.log"
        with output.open("wb") as stream:
            self.server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=stream, stderr=stream,
            )  # fmt: skip
        for _ in range(200):
            self.printed = output.read_text(encoding="utf-8")
            if "serving " in self.printed or self.server.poll() is not None:
                break
            time.sleep(0.05)
        assert self.server.poll() is None, self.printed
        self.code = 0

    def _at_client(self, command: str) -> list[str]:
        inside = (
            "for c in cc gcc clang; do if command -v $c; then echo 'this client has a compiler'; exit 99; fi; done; "
            f"python3 -m venv /tmp/v && . /tmp/v/bin/activate && cd /client && {command}"
        )
        names = ("PIP_INDEX_URL", "PIP_TRUSTED_HOST", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        given = [part for name in names for part in ("--env", name)]
        local = ["--env", "NO_PROXY=127.0.0.1", "--env", "no_proxy=127.0.0.1", "--env", "PIP_DISABLE_PIP_VERSION_CHECK=1"]
        mount = ["--volume", f"{self.folder / 'examples'}:/client/examples:ro", "--network", "host"]
        return ["docker", "run", "--rm", *given, *local, *mount, self.client, "sh", "-ec", inside]

    def close(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait(20)
