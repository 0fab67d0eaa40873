"""Real git repositories in a folder, made by the git program that the farm will meet."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_WHO = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@h.invalid", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@h.invalid",
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ALLOW_PROTOCOL": "file"}  # fmt: skip
SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=70"{more}]\nbuild-backend = "setuptools.build_meta"\n'
STATIC = SETUPTOOLS.format(more="") + '[project]\nname = "{name}"\nversion = "{version}"\ndependencies = [{requires}]\n'
SCM = (
    SETUPTOOLS.format(more=', "setuptools-scm>=8"')
    + '[project]\nname = "{name}"\ndynamic = ["version"]\n[tool.setuptools]\npy-modules = ["{module}"]\n[tool.setuptools_scm]\n'
)


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A working copy that is also the remote."""

    folder: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **_WHO})

    @property
    def url(self) -> str:
        return f"git+file://{self.folder}"

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.folder, env=self.env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: dict[str, str], tag: str = "") -> str:
        """Write files, commit everything, and return the commit."""
        if not (self.folder / ".git").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.git("init", "-q", "-b", "main")
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        if tag:
            self.git("tag", "-a", tag, "-m", tag)
        return self.git("rev-parse", "HEAD")


def static(name: str, version: str, *requires: str) -> dict[str, str]:
    """Return the files of a project that states all that a resolver asks."""
    quoted = ", ".join(f'"{text}"' for text in requires)
    text = STATIC.format(name=name, version=version, requires=quoted)
    return {"pyproject.toml": text, f"{name.replace('-', '_')}.py": "X = 1\n"}


def scm(name: str) -> dict[str, str]:
    """Return the files of a project whose version is its repository's tag."""
    module = name.replace("-", "_")
    return {"pyproject.toml": SCM.format(name=name, module=module), f"{module}.py": "X = 1\n"}
