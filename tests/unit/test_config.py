"""config.toml: every fault at once, with its path and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.config import FIELDS, RECIPE_FIELDS, ConfigError, load, parse
from farm.model.package import make_pin
from tests.fakes.nouns import CP311

FOLDER = Path("/somewhere")


def read(**content: object):  # type: ignore[no-untyped-def]
    return parse(dict(content), source="config.toml", folder=FOLDER)


def test_defaults_without_a_file() -> None:
    settings = load(None, home=Path("/home/me"))
    assert settings.store == Path("/home/me/.local/share/farm")
    assert [target.python_tag for target in settings.targets] == ["cp311", "cp313"]


def test_an_empty_file_means_the_defaults_with_the_store_beside_it() -> None:
    assert read().store == FOLDER / ".farm"


def test_values_are_parsed_to_their_types() -> None:
    settings = read(
        targets=["cp312-win_amd64"], build={"time-limit": "15m", "memory": "512MiB", "jobs": 3}, policy={"build-from-source": ["Foo_Bar"]}
    )
    assert (settings.time_limit, settings.memory, settings.jobs) == (900.0, 512 << 20, 3)
    assert settings.from_source == {"foo-bar"}


def test_every_fault_is_told_at_once_with_its_path() -> None:
    with pytest.raises(ConfigError) as refused:
        read(targets=["cp3xx"], build={"job": 3, "time-limit": "soon"}, stor={"path": "x"}, recipes={"x": {"sytem-packages": {}}})
    reason = refused.value.reason
    assert "targets: unknown target 'cp3xx'" in reason
    assert "build.job: unknown key; perhaps you meant build.jobs" in reason
    assert "build.time-limit: expected a duration" in reason
    assert "found 'soon'" in reason
    assert "recipes.x.sytem-packages: unknown key; perhaps you meant system-packages" in reason
    assert "5 faults" in reason


def test_a_recipe_is_chosen_by_version() -> None:
    new = {"versions": ">=2", "system-packages": {"debian": ["libnew-dev"]}}
    old = {"system-packages": {"debian": ["libold-dev"]}}
    settings = read(recipes={"Demo": [new, old]})
    assert settings.recipe(make_pin("demo", "2.1"), CP311).packages_for("debian") == ("libnew-dev",)
    assert settings.recipe(make_pin("demo", "1.9"), CP311).packages_for("debian") == ("libold-dev",)
    assert settings.recipe(make_pin("other", "1"), CP311).packages_for("debian") == ()


def test_malformed_toml_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("targets = [\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(path, home=tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "absent.toml", home=tmp_path)


def test_no_key_is_declared_twice() -> None:
    for fields in (FIELDS, RECIPE_FIELDS):
        assert len({field.path for field in fields}) == len(fields)


def test_watch_sets_count_from_the_files_folder() -> None:
    (shop, team) = read(
        watch={
            "shop": {"source": ["shop/uv.lock", "/srv/x.txt"], "targets": ["cp312-win_amd64"], "groups": ["dev"], "default-groups": False},
            "team": {"source": "git+https://git.example/r#sub", "constraints": ["../c.txt"]},
        }
    ).watches
    assert shop.sources == ("/somewhere/shop/uv.lock", "/srv/x.txt")
    assert (shop.targets, shop.groups, shop.default_groups, shop.origin) == (("cp312-win_amd64",), ("dev",), False, "config")
    assert (team.sources, team.constraints) == (("git+https://git.example/r#sub",), ("/c.txt",))


def test_what_is_wrong_with_watch_sets_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        read(watch={"a": {"sorce": "x", "targets": ["cp3xx"]}, "b/c": {"source": "x"}, "d": {"source": []}, "e": 1})
    reason = refused.value.reason
    assert "watch.a.sorce: unknown key; perhaps you meant source" in reason
    assert "watch.a: source is missing: expected a path, a URL or `git+URL`" in reason
    assert "watch.a.targets: unknown target 'cp3xx'" in reason
    assert "watch.b/c: expected a name of letters" in reason
    assert "watch.d.source: expected a path" in reason
    assert "watch.e: expected a table, found 1" in reason
