"""What a source leads to: files, folders, patterns; and what cannot be a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.adapters.watch_sources import WatchSources, absolute, shown_source
from farm.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def opened(tmp_path: Path, source: str, **env: str) -> list[list[str]]:
    parts = WatchSources(tmp_path / "cache", env, lambda _subject, _text: None).open(source)
    return [[path.removeprefix(f"{tmp_path}/") for path in part.inputs] for part in parts]


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["uv.lock", "requirements.txt", "pyproject.toml"], ["uv.lock"]),
        (["pylock.toml", "pylock.dev.toml", "uv.lock"], ["pylock.toml", "pylock.dev.toml"]),
        (["poetry.lock", "pyproject.toml"], ["poetry.lock"]),
        (["requirements.txt", "requirements-dev.txt", "pyproject.toml"], ["requirements-dev.txt", "requirements.txt"]),
        (["requirements/base.txt", "requirements/dev.txt", "pyproject.toml"], ["requirements/base.txt", "requirements/dev.txt"]),
        (["pyproject.toml", "README.md"], ["pyproject.toml"]),
    ],
)
def test_of_a_folder_its_lock_goes_first_then_its_requirements_then_pyproject(tmp_path: Path, there: list[str], taken: list[str]) -> None:
    write(tmp_path / "app", *there)
    assert opened(tmp_path, str(tmp_path / "app")) == [[f"app/{name}" for name in taken]]


def test_a_folder_with_nothing_to_install_from_says_what_was_expected(tmp_path: Path) -> None:
    write(tmp_path / "app", "README.md")
    with pytest.raises(UsageError, match=r"expected uv.lock, pylock.toml, .* found none of them"):
        opened(tmp_path, str(tmp_path / "app"))


def test_each_file_that_a_pattern_matches_is_read_by_itself(tmp_path: Path) -> None:
    write(tmp_path, "apps/a/uv.lock", "apps/b/uv.lock", "apps/c/other.txt")
    assert opened(tmp_path, f"{tmp_path}/apps/*/uv.lock") == [["apps/a/uv.lock"], ["apps/b/uv.lock"]]
    with pytest.raises(UsageError, match="found nothing there"):
        opened(tmp_path, f"{tmp_path}/apps/*/poetry.lock")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, "a[1].txt", "a1.txt")
    assert opened(tmp_path, f"{tmp_path}/a[1].txt") == [["a[1].txt"]]


def test_variables_are_filled_in_and_one_that_is_not_set_is_told_without_the_rest(tmp_path: Path) -> None:
    write(tmp_path, "app/uv.lock")
    assert opened(tmp_path, "${WHERE}/uv.lock", WHERE=f"{tmp_path}/app") == [["app/uv.lock"]]
    with pytest.raises(UsageError, match="expected the variable TOKEN in the environment"):
        opened(tmp_path, "git+https://x:${TOKEN}@git.example/r")


def test_relative_paths_become_absolute_and_urls_stay(tmp_path: Path) -> None:
    assert absolute("../a.txt", tmp_path / "b") == str(tmp_path / "a.txt")
    assert absolute("git+ssh://git@git.example/r#x", tmp_path) == "git+ssh://git@git.example/r#x"
    assert absolute("git+git@git.example:team/r.git", tmp_path) == "git+git@git.example:team/r.git"
    for wrong in ("ftp://x/y", "svn+https://x/y", "", "a\nb"):
        with pytest.raises(UsageError):
            absolute(wrong, tmp_path)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("git+https://me:secret@git.example/r@main#sub", "git+https://***@git.example/r@main#sub"),
        ("https://token@files.example/r.txt?sig=abc", "https://***@files.example/r.txt?***"),
        ("git+ssh://git@git.example/r", "git+ssh://git@git.example/r"),
        ("/srv/a#b.txt", "/srv/a#b.txt"),
    ],
)
def test_people_see_no_credentials(source: str, told: str) -> None:
    assert shown_source(source) == told
