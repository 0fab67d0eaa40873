"""pip's own configuration is read as pip reads it; pip itself is the judge of precedence and of its default."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import TYPE_CHECKING

import pytest

from farm.adapters.pipconfig import IndexSettings, Machine, default_index, read_settings, with_indexes
from farm.adapters.process import Command, run
from farm.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def machine(tmp_path: Path, env: dict[str, str] | None = None, system: str = "") -> Machine:
    shared = tmp_path / "etc" / "pip.conf"
    shared.parent.mkdir(exist_ok=True)
    shared.write_text(system)
    home = {"HOME": str(tmp_path), "PATH": os.defpath}
    return Machine(env=home | (env or {}), cache=tmp_path / "cache", prefix=tmp_path / "venv", system=(shared,))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_every_setting_from_the_environment(tmp_path: Path) -> None:
    env = {
        "PIP_INDEX_URL": "https://me:secret@mirror.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://a.example/simple  https://b.example/simple /local/folder",
        "PIP_CERT": "/ca.pem",
        "PIP_PROXY": "http://proxy.example:3128",
        "PIP_DEFAULT_TIMEOUT": "180",
        "PIP_TRUSTED_HOST": "mirror.example a.example:8080",
        "PIP_FIND_LINKS": "/missing/folder",
    }
    assert read_settings(machine(tmp_path, env)) == IndexSettings(
        url="https://me:secret@mirror.example/simple",
        extra_urls=("https://a.example/simple", "https://b.example/simple"),
        cert="/ca.pem",
        proxy="http://proxy.example:3128",
        timeout=180.0,
        trusted_hosts=("mirror.example", "a.example:8080"),
    )


def test_files_and_environment_in_pips_order(tmp_path: Path) -> None:
    order = [
        (tmp_path / ".pip" / "pip.conf", "legacy"),
        (tmp_path / ".config" / "pip" / "pip.conf", "user"),
        (tmp_path / "venv" / "pip.conf", "site"),
        (tmp_path / "own.conf", "own"),
    ]
    env: dict[str, str] = {}
    system = "[global]\nindex-url = https://system.example/simple\n"
    assert read_settings(machine(tmp_path, env, system)).url == "https://system.example/simple"
    for path, name in order:
        write(path, f"[global]\nindex_url = https://{name}.example/simple\n")
        env = {"PIP_CONFIG_FILE": str(tmp_path / "own.conf")} if name == "own" else {}
        assert read_settings(machine(tmp_path, env, system)).url == f"https://{name}.example/simple"
    env["PIP_INDEX_URL"] = "https://env.example/simple"
    assert read_settings(machine(tmp_path, env, system)).url == "https://env.example/simple"


def test_a_commands_section_is_stronger_than_a_later_files_global_one(tmp_path: Path) -> None:
    write(tmp_path / ".config" / "pip" / "pip.conf", "[global]\nindex-url = https://user.example/simple\n")
    system = "[install]\nindex-url = https://install.example/simple\n"
    assert read_settings(machine(tmp_path, {}, system)).url == "https://install.example/simple"


def test_several_extra_indexes_on_several_lines(tmp_path: Path) -> None:
    system = (
        "[global]\nindex-url = https://i.example\nextra-index-url =\n    https://a.example\n    https://b.example\n"
    )
    assert read_settings(machine(tmp_path, {}, system)).extra_urls == ("https://a.example", "https://b.example")


def test_the_null_device_switches_all_files_off(tmp_path: Path) -> None:
    env = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "https://env.example/simple"}
    assert read_settings(machine(tmp_path, env, "[global]\ncert = /ca.pem\n")).cert is None


def test_empty_values_count_as_absent(tmp_path: Path) -> None:
    system = "[global]\nindex-url = https://system.example/simple\n"
    assert read_settings(machine(tmp_path, {"PIP_INDEX_URL": ""}, system)).url == "https://system.example/simple"


def test_a_ca_bundle_that_requests_would_honour(tmp_path: Path) -> None:
    env = {"PIP_INDEX_URL": "https://i.example", "REQUESTS_CA_BUNDLE": "/bundle.pem"}
    assert read_settings(machine(tmp_path, env)).cert == "/bundle.pem"


def test_percent_signs_are_not_interpolated(tmp_path: Path) -> None:
    system = "[global]\nindex-url = https://me:p%40ss@mirror.example/simple\n"
    assert read_settings(machine(tmp_path, {}, system)).url == "https://me:p%40ss@mirror.example/simple"


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"PIP_NO_INDEX": "1"}, "no-index"),
        ({"PIP_INDEX_URL": "/a/folder"}, "expected an http or https URL"),
        (
            {"PIP_INDEX_URL": "https://i.example", "PIP_TIMEOUT": "soon"},
            "expected seconds as pip's timeout, found 'soon'",
        ),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, env: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_settings(machine(tmp_path, env))


def test_a_malformed_file_is_named_without_its_secrets(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"pip\.conf") as caught:
        read_settings(machine(tmp_path, {}, "index-url = https://me:secret@host/simple\n"))
    assert "secret" not in caught.value.reason


def test_credentials_are_not_shown() -> None:
    settings = IndexSettings(url="https://me:secret@host/simple", extra_urls=("https://token@other/simple",))
    assert "secret" not in f"{settings} {settings!r}"
    assert "token" not in f"{settings} {settings!r}"


def test_indexes_of_a_requirements_file_replace_or_add() -> None:
    settings = IndexSettings(url="https://a", extra_urls=("https://b",))
    assert with_indexes(settings, "https://c", ()).urls == ("https://c",)
    assert with_indexes(settings, None, ("https://d", "https://b")).urls == ("https://a", "https://b", "https://d")


def test_the_default_is_pips_own_and_asked_once(tmp_path: Path) -> None:
    here = machine(tmp_path, {"PIP_FIND_LINKS": "/missing"})
    told = default_index(here)
    code = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    assert told == run(Command(argv=(sys.executable, "-c", code))).stdout.strip()
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(kept.read_text().replace(told, "https://remembered.example/simple"))
    assert default_index(here) == "https://remembered.example/simple"


def test_uv_is_asked_where_there_is_no_pip(tmp_path: Path) -> None:
    here = machine(tmp_path)
    elsewhere = dataclasses.replace(here, executable="/no/python", cache=tmp_path / "other")
    assert default_index(elsewhere).rstrip("/") == default_index(here).rstrip("/")
