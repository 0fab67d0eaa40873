"""Ask a build backend what it needs and what it would build. Runs inside a build container, offline, as nobody.

    ask_backend.py requirements|metadata SOURCE ANSWER [KEY=VALUE ...]

Runs on the image's own front end, the `build` package (PEP 517); the static requirements come from the folder that
UV_FIND_LINKS names. The answer is written to a file, since a backend prints what it likes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from build import ProjectBuilder
from build.env import DefaultIsolatedEnv


def settings(pairs: list[str]) -> dict[str, str | list[str]]:
    """Return config settings as PEP 517 front ends hand them on: a key that comes again makes a list."""
    result: dict[str, str | list[str]] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        before = result.get(key)
        if before is None:
            result[key] = value
        else:
            result[key] = [*([before] if isinstance(before, str) else before), value]
    return result


def main(question: str, source: str, answer: str, *pairs: str) -> None:
    """Write the answer as JSON: a list of requirement strings, or the METADATA file's text."""
    config = settings(list(pairs))
    with DefaultIsolatedEnv(installer="uv") as env:
        builder = ProjectBuilder.from_isolated_env(env, source)
        env.install(builder.build_system_requires)
        if question == "requirements":
            found = sorted(builder.get_requires_for_build("wheel", config))
            Path(answer).write_text(json.dumps(found), encoding="utf-8")
            return
        env.install(builder.get_requires_for_build("wheel", config))
        with tempfile.TemporaryDirectory() as folder:
            info = Path(builder.metadata_path(folder))
            text = (info / "METADATA").read_text(encoding="utf-8", errors="surrogateescape")
        Path(answer).write_text(json.dumps(text), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
