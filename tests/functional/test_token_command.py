"""`farm token` as a user types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Shell


def test_a_token_is_made_shown_once_listed_and_revoked(shell: Shell) -> None:
    made = shell.run("token", "create", "ci", "--scope", "upload", "--expires", "90d", "--projects", "Acme_*")
    assert made.code == 0
    assert made.out.startswith("farm_")
    assert len(made.out.split()) == 1
    assert "Shown this once" in made.err
    shown = shell.run("token", "list").out
    assert "acme-*" in shown
    assert "never" in shown
    assert made.out.strip() not in shown
    (listed,) = shell.run("token", "list", "--json").json["tokens"]
    assert (listed["name"], listed["scope"], listed["projects"], listed["last_used"]) == (
        "ci",
        "upload",
        ["acme-*"],
        None,
    )
    assert listed["expires"] > listed["created"]
    assert shell.run("token", "revoke", "ci").code == 0
    assert json.loads(shell.run("token", "list", "--json").out)["tokens"] == []
    assert shell.run("token", "revoke", "ci").code == 2


@pytest.mark.parametrize(
    "wrong", [("--expires", "soon"), ("--expires", "0d"), ("--projects", "a/b"), ("--scope", "god")]
)
def test_what_makes_no_sense_is_told(shell: Shell, wrong: tuple[str, str]) -> None:
    scope = () if wrong[0] == "--scope" else ("--scope", "read")
    done = shell.run("token", "create", "ci", *scope, *wrong)
    assert done.code == 2
    assert shell.run("token", "list").out == ""
