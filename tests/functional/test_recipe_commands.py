"""`farm recipe`: a person writes, checks and reads recipes at the command line."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.adapters.lessons import Lessons
from farm.config import load
from farm.model.healing import Evidence, Learned
from farm.model.job import Recipe
from farm.model.package import make_pin
from tests.fakes.nouns import NOON
from tests.functional.conftest import TARGET, Shell, add_sdist

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.index_server import IndexServer

DIFF = "--- a/gap.c\n+++ b/gap.c\n@@ -1 +1 @@\n-int answer(void) { return 42; }\n+int answer(void) { return 43; }\n"
PATCH = '[[patches]]\nfile = "fix.patch"\nreason = "the answer"\nupstream = "denied"\n'
LEARNED = Learned(
    name=make_pin("gap", "1.0").name, version="1.0", versions="==1.*", python="", target=TARGET,
    recipe=Recipe(memory=8 << 30, environment=(("A", "learned"), ("C", "3"))), at=NOON,
    evidence=(Evidence(attempt="a1", cause="out-of-memory", line="Killed", change="8192 MiB"),),
)  # fmt: skip


@pytest.fixture
def recipes(shell: Shell, index: IndexServer, tmp_path: Path) -> Path:
    """A project `gap` of two versions on the index, a recipes folder, and a patch that fits both."""
    for version in ("1.0", "2.0"):
        add_sdist(index, "gap", version, tmp_path)
    folder = shell.folder / "recipes"
    folder.mkdir()
    (folder / "fix.patch").write_text(DIFF)
    return folder


def test_sound_recipes_pass_and_their_patches_are_tried_on_what_the_index_has(shell: Shell, recipes: Path, index: IndexServer) -> None:
    (recipes / "gap.toml").write_text(PATCH)
    done = shell.run("recipe", "lint")
    assert (done.code, done.out, done.err.strip()) == (0, "", "1 recipe of 1 project: 0 faults")
    assert [index.asked(f"gap-{version}.tar.gz") for version in ("1.0", "2.0")] == [1, 1]


def test_a_patch_that_does_not_fit_every_version_of_its_rule_is_a_fault(shell: Shell, recipes: Path) -> None:
    (recipes / "gap.toml").write_text(PATCH.replace("denied", "denied\"\nstrip = 0 # \""))
    done = shell.run("recipe", "lint", "gap")
    assert done.code == 1
    assert done.out.splitlines() == [
        f"recipes/gap.toml:1: gap {version}: fix.patch: b/gap.c: No such file or directory; it applies with strip = 1"
        for version in ("1.0", "2.0")
    ]
    assert shell.run("recipe", "lint", "gap", "--offline").code == 0


def test_every_fault_is_told_at_once_also_those_of_patches(shell: Shell, recipes: Path) -> None:
    (recipes / "fix.patch").write_text(DIFF.replace("42", "41"))
    (recipes / "lost.diff").write_text(DIFF)
    (recipes / "gap.toml").write_text(f'memori = "1GiB"\nnetwork = true\ntargets = "cp27-*"\n{PATCH}')
    (recipes / "fourth.toml").write_text('smoke-test = "gap --show version"\n')
    (recipes / "other.toml").write_text('[[recipe]]\nkind = "pure"\n[[recipe]]\nversions = "<2"\nvariant = "potato"\n')
    (shell.folder / "config.toml").write_text(f'targets = ["{TARGET}"]\n[recipes.third]\nnetwork = 1\n')
    done = shell.run("recipe", "lint")
    assert done.code == 1
    for told in (
        "config.toml:3: recipes.third.network: expected the reason, or true or false, found 1",
        "recipes/gap.toml:1: memori: unknown key; perhaps you meant memory",
        "gap 2.0: fix.patch: patch failed: gap.c:1",
        "recipes/gap.toml:1: note: the network stays on, and nobody knows why",
        "recipes/gap.toml:1: note: no configured target fits cp27-*",
        "recipes/other.toml:3: never reached: the one at recipes/other.toml:1 fits whatever it fits",
        "recipes/other.toml:3: no builder image has the variant 'potato'; there are: bookworm,",
        "recipes/fourth.toml:1: its smoke-test is no Python: invalid syntax",
        "recipes/lost.diff: note: no recipe names this patch",
    ):
        assert told in done.out, done.out
    assert done.err.strip() == "5 recipes of 4 projects: 7 faults"
    listed = shell.run("recipe", "lint", "--json").json
    assert listed["faults"] == 7
    assert {one["level"] for one in listed["remarks"]} == {"fault", "note"}
    assert shell.run("status").code == 2


def test_one_file_or_project_is_checked_alone(shell: Shell, recipes: Path, tmp_path: Path) -> None:
    (recipes / "gap.toml").write_text('kind = "pur"\n')
    (recipes / "fine.toml").write_text('kind = "pure"\n')
    draft = tmp_path / "draft.toml"
    draft.write_text('kind = "pure"\ncpus = -1\n')
    assert shell.run("recipe", "lint", "fine").code == 0
    assert shell.run("recipe", "lint", "gap").out.startswith('recipes/gap.toml:1: kind: expected "native" or "pure", found')
    done = shell.run("recipe", "lint", "fine", str(draft), "--offline")
    assert (done.code, done.out.strip()) == (1, f"{tmp_path.name}/draft.toml:2: cpus: expected a number above 0, found -1")
    wrong = shell.run("recipe", "lint", "fien")
    assert (wrong.code, "perhaps you meant fine" in wrong.err) == (2, True)


def test_an_index_that_does_not_answer_is_a_note_and_no_fault(shell: Shell, recipes: Path, index: IndexServer) -> None:
    (recipes / "gap.toml").write_text(PATCH)
    index.fail("gap", 503)
    done = shell.run("recipe", "lint")
    assert done.code == 0
    assert "note: its patches were not tried" in done.out


def test_show_tells_whose_word_each_value_is(shell: Shell, recipes: Path) -> None:
    (recipes / "gap.toml").write_text(f'versions = "<2"\nenvironment = {{ A = "folder", B = "2" }}\ntime-limit = "2h"\n{PATCH}')
    config = (shell.folder / "config.toml").read_text()
    shell.write("config.toml", f'{config}[recipes.gap]\nenvironment = {{ A = "own" }}\nnetwork = "loads a grammar"\n')
    Lessons(shell.folder / ".farm" / "recipes").learn(LEARNED)
    learned = f"learned on {NOON:%Y-%m-%d} from gap 1.0"
    found = shell.run("recipe", "show", "Gap==1.0", "--json").json
    assert (found["name"], found["version"], found["target"]) == ("gap", "1.0", TARGET)
    told = {one["key"]: (one["value"], one["from"].rsplit("/", 2)[-1]) for one in found["values"]}
    patch = told.pop("patches")
    assert told == {
        "environment.A": ("own", "config.toml:4"), "environment.B": ("2", "gap.toml:1"), "environment.C": ("3", learned),
        "memory": (8 << 30, learned), "time-limit": (7200.0, "gap.toml:1"), "network": ("loads a grammar", "config.toml:4"),
    }  # fmt: skip
    assert patch[0].startswith("fix.patch (sha256 ")
    newest = shell.run("recipe", "show", "gap").out
    assert newest.startswith(f"# gap 2.0 for {TARGET}")
    assert "recipes/gap.toml" not in newest
    assert shell.run("recipe", "show", "gap>=1").code == 2
    nothing = shell.run("recipe", "show", "nothing")
    assert (nothing.code, "no index has an sdist of nothing" in nothing.err) == (2, True)


def test_list_has_what_people_wrote_and_what_was_learned(shell: Shell, recipes: Path) -> None:
    assert shell.run("recipe", "list").err.strip() == "there are no recipes, and nothing has been learned yet"
    (recipes / "gap.toml").write_text('versions = "<2"\nkind = "pure"\n')
    Lessons(shell.folder / ".farm" / "recipes").learn(LEARNED)
    rows = [line.split() for line in shell.run("recipe", "list").out.splitlines()[1:]]
    assert rows[0][:4] == ["gap", "<2", "any", "recipes/gap.toml:1"]
    assert rows[1][:4] == ["gap", "==1.*", "any", "learned"]
    listed = shell.run("recipe", "list", "--json").json
    assert [one["from"] for one in listed["configured"]] == ["recipes/gap.toml:1"]
    assert [one["proposed"] for one in listed["recipes"]] == [False]
    assert shell.run("recipe", "forget", "gap").code == 0
    kept = shell.run("recipe", "forget", "gap")
    assert (kept.code, "what stands in recipes/gap.toml:1 is yours to delete" in kept.err) == (2, True)


def test_a_new_recipe_says_what_is_known_and_each_of_its_lines_is_one(shell: Shell, recipes: Path) -> None:
    Lessons(shell.folder / ".farm" / "recipes").learn(LEARNED)
    done = shell.run("recipe", "new", "Gap")
    path = recipes / "gap.toml"
    assert (done.code, done.out.strip()) == (0, str(path))
    text = path.read_text()
    assert "# gap 2.0: no native sources; built by setuptools.build_meta with setuptools" in text
    assert load(shell.folder / "config.toml", home=shell.folder).recipes["gap"][0].recipe == Recipe()
    again = shell.run("recipe", "new", "gap")
    assert (again.code, "is there already" in again.err) == (2, True)

    keys = [line.removeprefix("# ") for line in text.splitlines() if line.startswith(("# [[", "# ")) and (" = " in line or "[[" in line)]
    whole = "\n".join(keys)
    assert set(tomllib.loads(whole)) >= {"system-packages", "variant", "smoke-test", "exclusive", "patches"}
    path.write_text(whole)
    (recipes / "example-1.2-python3.patch").write_text(DIFF)
    checked = shell.run("recipe", "lint", "gap")
    assert (checked.code, "note" in checked.out) == (0, True), checked.out


def test_a_proposal_is_taken_over_into_a_new_recipe(shell: Shell, recipes: Path) -> None:
    Lessons(shell.folder / ".farm" / "recipes").learn(replace(LEARNED, proposed=True))
    text = shell.run("recipe", "new", "gap==1.0", "--print").out
    assert "# a1: out-of-memory: Killed" in text
    found = tomllib.loads(text)
    assert found == {"memory": "8192MiB", "environment": {"A": "learned", "C": "3"}}
    assert not (recipes / "gap.toml").exists()
    unknown = shell.run("recipe", "new", "nobody", "--print").out
    assert "# Its sdist was not read: no index has an sdist of nobody" in unknown
