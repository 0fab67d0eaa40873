"""What README.md and docs/ say is so: commands run, names exist, tables agree with the code.

`python -m tests.unit.test_docs` writes docs/configuration.md anew from the code.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from typing import TYPE_CHECKING, get_args, get_type_hints

import click
import pytest

from farm import config
from farm.cli.main import EXIT_CODES, cli
from farm.cli.render import WORDS, report_json
from farm.errors import FarmError
from farm.model.outcome import Diagnosis
from farm.model.provenance import Reproduction
from farm.model.report import Problem, Report, Row, State, Tried
from tests.console import PAGES, ROOT, Player, blocks, steps

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = ROOT / "docs/configuration.md"
REPORT = ROOT / "docs/report.md"
_INLINE = re.compile(r"`([^`\n]+)`")
_FOLDERS = r"farm|docs|tests|images|examples|benchmarks|\.ci|survey|work|engine|adapters|wire|cli"
_PATH = re.compile(rf"(?:(?:{_FOLDERS})/[\w./-]*|[\w-]+\.(?:md|toml)|Makefile)")
# A quick command that asked an index would fail here instead of being slow.
_NOWHERE = "http://127.0.0.1:9/simple/"
_ELSEWHERE = {"pyproject.toml", "mine.toml", "wrong.toml", "copy.sqlite"}
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_the_quick_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    quick = steps(page, "")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_INDEX_URL": _NOWHERE}
    player = Player(folder=tmp_path / "checkout", environment=environment)
    for step in quick:
        player.play(step)
    assert player.code == 0


def test_there_are_commands_to_run() -> None:
    """A change of the pages' form must not empty the tests above."""
    assert len([step for page in PAGES for step in steps(page, "")]) >= 10
    assert len([step for page in PAGES for step in steps(page, "docker")]) >= 15
    assert {rest for page in PAGES for rest, _ in blocks(page, "console")} == {"", "docker"}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_paths_and_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [match[0] for code in _INLINE.findall(text) if (match := _PATH.fullmatch(code)) and code not in _ELSEWHERE]
    lost = [name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "farm", page.parent))]
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    lost += [link for link in links if link and not (page.parent / link).exists()]
    assert lost == []


def _lines(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    shown = [block for language in ("console", "sh") for _, block in blocks(page, language)]
    fenced = [line.removeprefix("$ ") for block in shown for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [*fenced, *_INLINE.findall(prose)]


def _wrong(line: str) -> str | None:
    """What of a farm command line does not exist; None when all does, or when it is none."""
    words = shlex.split(line, comments=True)
    command: click.Command = cli
    for word in words[1:]:
        if word in {"|", ">", ">>", "&&", "||"} or word.startswith((">", "2>")):
            return None
        if word.startswith("-"):
            context = click.Context(command)
            known = {option for parameter in command.get_params(context) for option in (*parameter.opts, *parameter.secondary_opts)}
            if word not in known:
                return f"{line}: no option {word}"
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z]+", word):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return f"{line}: no command {word}"
            command = found
    return None


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_options_exist(page: Path) -> None:
    commands = [line for line in _lines(page) if re.match(r"farm( -|\s+[a-z]+)", line)]
    assert [wrong for line in commands if (wrong := _wrong(line))] == []
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    made = {match[1] for line in _lines(page) if (match := re.match(r"make ([a-z]+)", line))}
    assert made <= rules


def test_a_wrong_option_would_be_noticed() -> None:
    assert _wrong("farm build -r x.txt --dry-run") is None
    assert _wrong("farm build --dryrun") == "farm build --dryrun: no option --dryrun"
    assert _wrong("farm biuld -r x") == "farm biuld -r x: no command biuld"


def _table(page: Path, heading: str) -> list[list[str]]:
    """The rows of the first table whose header line begins with `heading`."""
    rows = page.read_text(encoding="utf-8").split(f"\n| {heading}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def _tables(page: Path, heading: str) -> list[set[str]]:
    text = page.read_text(encoding="utf-8")
    count = text.count(f"\n| {heading}")
    found = []
    for _ in range(count):
        text = text.split(f"\n| {heading}", 1)[1]
        rows = text.split("\n\n", 1)[0].splitlines()[2:]
        found.append({row.split("|")[1].strip().strip("`") for row in rows})
    return found


def test_exit_codes_agree_between_help_docs_and_errors() -> None:
    told = {int(code): text for code, text in re.findall(r"^  (\d+)\s+(\S.*)$", EXIT_CODES, re.MULTILINE)}
    documented = {int(code): text for code, text in _table(REPORT, "code")}
    assert set(told) == set(documented)
    classes = [FarmError, *FarmError.__subclasses__()]
    assert {error.exit_code for error in classes} | {0, 1} <= set(told)
    for code, text in told.items():
        assert documented[code].startswith(text), code


def test_the_reports_keys_states_and_kinds_are_documented() -> None:
    diagnosis = Diagnosis(cause="c", summary="s")
    row = Row(
        name="a", version="1", target="t", state="failed", attempt="x", diagnosis=diagnosis, url="u", proposal="p", advice="a",
        obstacles=("o",), coupling=("numpy 2.1.3",), instructions=("v2",), reproduction=Reproduction(first="1", second="2"),
        tried=(Tried(build="w", stage="build", diagnosis=diagnosis, change="c", kept=True),),
    )
    problem = Problem(subject="s", text="t", kind="direct")
    content = json.loads(report_json(Report(targets=("t",), rows=(row,), problems=(problem,)), 1))
    package = content["packages"][0]
    cell = package["cells"]["t"]
    assert _tables(REPORT, "key") == [set(content), set(package), set(cell), set(cell["diagnosis"]), set(cell["attempts"][0])]
    assert {state: word for state, word, _ in _table(REPORT, "state")} == {state: WORDS[state] for state in get_args(State)}
    assert {kind for kind, _ in _table(REPORT, "kind")} == set(get_args(get_type_hints(Problem)["kind"]))


def test_toml_that_is_shown_for_config_toml_is_taken(tmp_path: Path) -> None:
    shown = [text for page in PAGES for _, text in blocks(page, "toml")]
    known = {field.path.split(".")[0] for field in config.FIELDS} | {"recipes", "watch"}
    taken = [content for text in shown if set(content := tomllib.loads(text)) <= known]
    for content in taken:
        config.parse(content, source="a page", folder=tmp_path)
    assert len(taken) >= 2


def test_keys_that_pages_name_exist() -> None:
    known = {field.path for field in config.FIELDS}
    texts = [code for page in PAGES for code in _INLINE.findall(page.read_text(encoding="utf-8"))]
    named = {f"{match[1]}.{match[2]}" for text in texts if (match := re.fullmatch(r"\[([a-z]+)\] ([a-z-]+)", text))}
    assert {"build.memory", "store.path"} <= named <= known


def configuration_page() -> str:
    """Return docs/configuration.md as the code has it."""
    fields, recipes, patches, watches = (
        [f"| `{field.path}` | {_cell(field.expected)} | {_shown(field.default)} | {_cell(field.about)} |" for field in table]
        for table in (config.FIELDS, config.RECIPE_FIELDS, config.PATCH_FIELDS, config.WATCH_FIELDS)
    )
    head = "| key | expected | default | what it does |\n|---|---|---|---|\n"
    return (
        "# Configuration\n\n"
        "farm reads one TOML file: the one given with `--config`, else the one that `FARM_CONFIG` names, else `config.toml` in the\n"
        "current folder. Without any it uses the defaults below, and the store is `~/.local/share/farm`. A key with a dot is in a\n"
        "table: `build.jobs` is `jobs` below `[build]`. What is not known or not as expected is refused, all faults at once.\n\n"
        f"## Keys\n\n{head}" + "\n".join(fields) + "\n\n"
        "## Recipes\n\n"
        "`[recipes.NAME]` holds what the project NAME needs beyond the default ([recipes.md](recipes.md)); a list of tables\n"
        "(`[[recipes.NAME]]`) where versions or targets differ, of which the first that fits counts. A file in the recipes folder,\n"
        f"called after its project, has the same keys.\n\n{head}" + "\n".join(recipes) + "\n\n"
        f"Each of `patches`, the first three always:\n\n{head}" + "\n".join(patches) + "\n\n"
        "## Watch sets\n\n"
        "`[watch.NAME]` is a requirement set that every night keeps served ([watch.md](watch.md)); `source` always.\n\n"
        f"{head}" + "\n".join(watches) + "\n\n"
        "## The environment\n\n"
        "| variable | is for |\n|---|---|\n"
        "| `FARM_CONFIG` | the configuration file |\n"
        "| `PIP_INDEX_URL`, `PIP_EXTRA_INDEX_URL`, `PIP_TRUSTED_HOST`, `PIP_CERT`, `PIP_CONFIG_FILE`, … "
        "| the upstream index, as pip reads them, pip.conf too |\n"
        "| `SSL_CERT_FILE` | CA certificates, where pip is told of none |\n"
        "| `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` | proxies; image builds get them too |\n"
        "| `DOCKER_HOST` | the Docker engine |\n\n"
        "This page is made from `farm/config/fields.py` by `python -m tests.unit.test_docs`.\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _shown(default: str) -> str:
    return _cell(default) if not default or default.startswith("as ") else f"`{_cell(default)}`"


def test_configuration_md_is_made_from_the_code() -> None:
    hint = "make it anew: python -m tests.unit.test_docs"
    assert CONFIGURATION.read_text(encoding="utf-8") == configuration_page(), hint


def test_the_documented_defaults_are_the_real_ones(tmp_path: Path) -> None:
    """A default in the table, put into a file, gives the same settings as an empty file."""
    text = "\n".join(f"{field.path} = {field.default}" for field in config.FIELDS)
    explicit = config.parse(tomllib.loads(text), source="", folder=tmp_path)
    assert explicit == config.parse({}, source="", folder=tmp_path)


if __name__ == "__main__":
    CONFIGURATION.write_text(configuration_page(), encoding="utf-8")
