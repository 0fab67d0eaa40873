"""Which of the farm's wheels go into a lock, which come out of it, and what is said of the others."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from farm.errors import UsageError
from farm.model.package import Digest
from farm.survey.augment.environments import clients
from farm.survey.reading.faults import RequirementsError
from tests.fakes.locking import (
    BASE,
    LOCKS,
    PIPFILE,
    POETRY,
    PYLOCK_OF_PIP,
    PYLOCK_OF_UV,
    REQUIREMENTS,
    SDIST,
    UPSTREAM,
    UV,
    added,
    farm_wheel,
    shelf,
    stripped,
)  # fmt: skip

FILES = sorted(LOCKS)
WHEEL = farm_wheel()


def signs(file: str, text: str, *stock: object, **more: object) -> list[str]:
    done = added(file, text, shelf(*stock, **more))  # type: ignore[arg-type]
    return [f"{'+' if change.kind == 'add' else '-'}{change.sha256}" for change in done.changes]


@pytest.mark.parametrize("file", FILES)
def test_every_format_takes_the_wheel_and_gives_it_back(file: str) -> None:
    done = added(file, LOCKS[file], shelf(WHEEL))
    assert [(change.kind, change.sha256) for change in done.changes] == [("add", WHEEL.sha256)]
    assert WHEEL.sha256 in done.text
    assert stripped(file, done.text, shelf(WHEEL)).text == LOCKS[file]


@pytest.mark.parametrize("file", FILES)
def test_a_wheel_of_another_sdist_is_not_added_and_it_is_said_why(file: str) -> None:
    other = farm_wheel(sdist=Digest("6" * 64))
    done = added(file, LOCKS[file], shelf(other))
    assert done.text == LOCKS[file]
    (passed,) = done.passed_over
    assert passed.filename == other.filename
    assert "6" * 64 in passed.reason
    assert "does not name" in passed.reason


@pytest.mark.parametrize("file", FILES)
def test_a_wheel_of_unknown_origin_is_not_added(file: str) -> None:
    done = added(file, LOCKS[file], shelf(farm_wheel(sdist=None)))
    assert done.text == LOCKS[file]
    assert "does not tell which sdist" in done.passed_over[0].reason


@pytest.mark.parametrize("file", FILES)
def test_a_wheel_of_another_version_is_none_of_the_locks_business(file: str) -> None:
    done = added(file, LOCKS[file], shelf(farm_wheel(version="1.1"), farm_wheel("stranger")))
    assert (done.text, done.passed_over) == (LOCKS[file], ())


@pytest.mark.parametrize("file", FILES)
def test_a_wheel_that_was_collected_is_taken_out_and_its_successor_put_in(file: str) -> None:
    text = added(file, LOCKS[file], shelf(WHEEL)).text
    rebuilt = farm_wheel(version="1.0-1")
    assert signs(file, text, rebuilt, gone=(WHEEL.sha256,)) == [f"-{WHEEL.sha256}", f"+{rebuilt.sha256}"]
    later = added(file, text, shelf(rebuilt, gone=(WHEEL.sha256,)))
    assert stripped(file, later.text, shelf(rebuilt, gone=(WHEEL.sha256,))).text == LOCKS[file]


@pytest.mark.parametrize("file", ["uv.lock", "pylock.toml", "pylock.pip.toml"])
def test_urls_tell_the_farms_wheels_without_the_farm(file: str) -> None:
    text = added(file, LOCKS[file], shelf(WHEEL)).text
    assert stripped(file, text, shelf()).text == LOCKS[file]
    assert stripped(file, text, shelf(base="")).text == LOCKS[file]


@pytest.mark.parametrize("file", ["uv.lock", "pylock.toml", "pylock.pip.toml"])
def test_a_wheel_that_is_no_longer_listed_but_still_given_stays(file: str) -> None:
    text = added(file, LOCKS[file], shelf(WHEEL)).text
    assert signs(file, text, kept=(WHEEL.sha256,)) == []
    assert signs(file, text) == [f"-{WHEEL.sha256}"]
    assert stripped(file, text, shelf(kept=(WHEEL.sha256,))).text == LOCKS[file]


@pytest.mark.parametrize("file", ["uv.lock", "pylock.toml", "pylock.pip.toml"])
def test_another_farms_wheels_stay(file: str) -> None:
    theirs = farm_wheel(tags="cp312-cp312-manylinux_2_36_x86_64", base="https://other.example/")
    text = added(file, LOCKS[file], shelf(theirs, base="https://other.example/")).text
    assert signs(file, text, WHEEL) == [f"+{WHEEL.sha256}"]
    assert stripped(file, text, shelf(WHEEL)).text == text


@pytest.mark.parametrize("file", ["uv.lock", "pylock.toml", "pylock.pip.toml"])
def test_a_farm_that_moved_has_its_urls_written_anew(file: str) -> None:
    text = added(file, LOCKS[file], shelf(WHEEL)).text
    moved = farm_wheel(base="https://new.example/")
    stock = shelf(moved, base="https://new.example/")
    later = added(file, text, stock)
    assert BASE not in later.text
    assert moved.url in later.text
    assert stripped(file, later.text, stock).text == LOCKS[file]


def test_an_upstream_file_with_the_name_of_a_farm_wheel_is_never_doubled() -> None:
    url = f"https://files.example/{WHEEL.filename}"
    lock = UV.replace("https://files.example/other-1.0-cp312-cp312-win_amd64.whl", url).replace("demo", "x").replace("other", "demo")
    lock = lock.replace(url.replace("demo", "x"), url).replace(", marker = \"sys_platform == 'win32'\"", "")
    done = added("uv.lock", lock, shelf(WHEEL))
    assert done.text == lock
    assert "another file of that name" in done.passed_over[0].reason


def test_the_same_bytes_at_upstreams_url_are_enough() -> None:
    lock = PYLOCK_OF_UV.replace(UPSTREAM, WHEEL.sha256)
    assert added("pylock.toml", lock, shelf(WHEEL)).changes == ()
    assert stripped("pylock.toml", lock, shelf(WHEEL)).text == lock


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        ("cp311-cp311-manylinux_2_36_x86_64", True),
        ("cp310-cp310-manylinux_2_36_x86_64", False),
        ("cp38-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp313-cp313t-musllinux_1_2_aarch64", True),
        ("pp39-pypy39_pp73-manylinux_2_28_x86_64", False),
        ("cp312-cp312-linux_armv6l", True),
    ],
)
def test_the_locks_python_decides(tags: str, fits: bool) -> None:
    """requires-python is >=3.11. Of tags from other worlds nothing is known, so they are not kept out."""
    done = added("uv.lock", UV, shelf(farm_wheel(tags=tags)))
    assert bool(done.changes) is fits
    assert bool(done.passed_over) is not fits


def test_a_marker_on_the_way_decides() -> None:
    """`other` is asked for on Windows only."""
    linux, windows = farm_wheel("other"), farm_wheel("other", tags="cp311-cp311-win_amd64")
    done = added("uv.lock", UV, shelf(linux, windows))
    assert [change.filename for change in done.changes] == [windows.filename]
    assert [passed.filename for passed in done.passed_over] == [linux.filename]
    text = REQUIREMENTS.replace("python_version >= '3.9'", "sys_platform == 'win32'")
    assert added("requirements.txt", text, shelf(WHEEL)).text == text


def test_extras_and_groups_count_though_nobody_chose_them() -> None:
    group = UV.replace('    { name = "demo" },\n', "").replace(
        "[package.metadata]", '[package.dev-dependencies]\ndocs = [{ name = "demo" }]\n\n[package.metadata]'
    )
    assert signs("uv.lock", group, WHEEL) == [f"+{WHEEL.sha256}"]
    assert signs("poetry.lock", POETRY.replace('["main"]', '["docs"]'), WHEEL) == [f"+{WHEEL.sha256}"]


def test_conflicting_extras_are_looked_at_one_by_one() -> None:
    marker = "extra == 'extra-3-app-cpu' and extra != 'extra-3-app-gpu'"
    lock = UV.replace('    { name = "demo" },\n', "").replace(
        "[package.metadata]",
        f'[package.optional-dependencies]\ncpu = [{{ name = "demo", marker = "{marker}" }}]\ngpu = []\n\n[package.metadata]',
    )
    conflicts = 'conflicts = [[\n    { package = "app", extra = "cpu" },\n    { package = "app", extra = "gpu" },\n]]\n'
    lock = lock.replace('requires-python = ">=3.11"\n', f'requires-python = ">=3.11"\n{conflicts}')
    assert signs("uv.lock", lock, WHEEL) == [f"+{WHEEL.sha256}"]


def test_times_are_written_where_the_lock_has_them() -> None:
    assert 'size = 1234, upload-time = "2026-01-02T03:04:05.67Z" }' in added("uv.lock", UV, shelf(WHEEL)).text
    untimed = UV.replace(', upload-time = "2026-01-01T00:00:00Z"', "")
    assert "upload-time" not in added("uv.lock", untimed, shelf(WHEEL)).text
    timeless = replace(WHEEL, upload_time=None, size=None)
    assert f'hash = "sha256:{WHEEL.sha256}" }},' in added("uv.lock", UV, shelf(timeless)).text
    entry = tomllib.loads(added("pylock.toml", PYLOCK_OF_PIP, shelf(WHEEL)).text)["packages"][0]["wheels"][1]
    assert entry["upload-time"] == WHEEL.upload_time
    assert (entry["name"], entry["url"], entry["size"]) == (WHEEL.filename, WHEEL.url, WHEEL.size)


@pytest.mark.parametrize("array", ["[ # a, b\n]", "[]", "[\n]", "[\n    # {a},\n]"])
def test_an_empty_array_with_commas_in_its_comments_is_given_back(array: str) -> None:
    lock = UV.replace('upload-time = "2026-01-01T00:00:00Z" }\n', f'upload-time = "2026-01-01T00:00:00Z" }}\nwheels = {array}\n')
    text = added("uv.lock", lock, shelf(WHEEL)).text
    assert WHEEL.url in text
    assert stripped("uv.lock", text, shelf(WHEEL)).text == lock


def test_what_is_lacking_is_told_for_each_target() -> None:
    (lacking,) = added("uv.lock", UV, shelf()).lacking
    assert (lacking.target, lacking.pins, lacking.certain) == ("cp311-manylinux_2_36_x86_64", ("demo==1.0",), True)
    assert added("uv.lock", UV, shelf(WHEEL)).lacking == ()
    (lines,) = added("requirements.txt", REQUIREMENTS, shelf(WHEEL)).lacking
    assert (lines.pins, lines.certain) == (("other==2.0",), False)


@pytest.mark.parametrize(
    "line",
    [
        f"demo>=1.0 --hash=sha256:{SDIST}",
        f"demo @ https://files.example/demo-1.0.tar.gz --hash=sha256:{SDIST}",
        f"demo==1.0 --hash='sha256:{SDIST}'",
        f"demo==1.0 --has=sha256:{SDIST}",
    ],
)
def test_lines_that_cannot_take_a_hash_are_left_alone(line: str) -> None:
    assert added("requirements.txt", f"{line}\n", shelf(WHEEL)).text == f"{line}\n"


def test_a_line_whose_hashes_are_written_oddly_is_told() -> None:
    (passed,) = added("requirements.txt", f'demo==1.0 --hash="sha256:{SDIST}"\n', shelf(WHEEL)).passed_over
    assert "write --hash=sha256:DIGEST" in passed.reason


def test_requirements_without_hashes_need_nothing() -> None:
    done = added("requirements.txt", "demo==1.0\n", shelf(WHEEL))
    assert (done.text, done.lacking) == ("demo==1.0\n", ())
    assert "has no hashes" in done.remarks[0]


@pytest.mark.parametrize("source", ['{ git = "https://git.example/demo#abc" }', '{ registry = "../wheels" }', '{ directory = "demo" }'])
def test_packages_from_elsewhere_take_nothing(source: str) -> None:
    lock = UV.replace('source = { registry = "https://index.example/simple" }', f"source = {source}", 1)
    assert added("uv.lock", lock, shelf(WHEEL)).text == lock


def test_what_is_no_lock_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a lock, found a pyproject\.toml"):
        added("pyproject.toml", "[project]\nname = 'x'\n", shelf())
    with pytest.raises(RequirementsError):
        added("uv.lock", "version = 1\n[[package]\n", shelf())
    with pytest.raises(UsageError, match="laid out as its own tool"):
        added("uv.lock", 'version = 1\npackage = [{ name = "demo", version = "1.0", source = { registry = "https://x" } }]\n', shelf())


def test_a_lock_with_a_key_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="stands twice"):
        added("Pipfile.lock", PIPFILE.replace('"develop": {}', '"develop": {}, "develop": {}'), shelf(WHEEL))


def test_a_wheels_clients() -> None:
    names = [target.name for target in clients("demo-1.0-cp313-cp313t-macosx_14_0_universal2.whl")]
    assert names == ["cp313t-macosx_14_0_arm64"]
    abi3 = [target.name for target in clients("demo-1.0-cp313-abi3-musllinux_1_2_x86_64.whl")]
    assert abi3 == [f"cp3{minor}-musllinux_1_2_x86_64" for minor in (13, 14, 15)]
    assert clients("demo-1.0-graalpy311-graalpy311_native-linux_x86_64.whl") == ()
