"""What can be said of recipes without looking at any sdist. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from farm.model.job import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from farm.model.settings import RecipeRule
    from farm.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is wrong (`fault`), or may be meant otherwise (`note`), in a recipe of `project`, at `place` of a file."""

    level: Literal["fault", "note"]
    project: str
    place: str
    text: str


def remarks(project: str, rules: Sequence[RecipeRule], targets: Sequence[Target]) -> Iterator[Remark]:
    """Yield what is to be said of a project's rules where the farm serves `targets`."""
    for number, rule in enumerate(rules):
        hider = next((one for one in rules[:number] if one.file == rule.file and _hides(one, rule)), None)
        if hider is not None:
            told = f"never reached: the one at {hider.place} fits whatever it fits"
            yield Remark(level="fault", project=project, place=rule.place, text=told)
        code = _code_fault(rule.recipe)
        if code:
            yield Remark(level="fault", project=project, place=rule.place, text=code)
        for text in _notes(rule, targets):
            yield Remark(level="note", project=project, place=rule.place, text=text)


def _hides(first: RecipeRule, second: RecipeRule) -> bool:
    wider = not first.targets or set(second.targets or ("",)) <= set(first.targets)
    return wider and (not str(first.versions) or first.versions == second.versions)


def _code_fault(recipe: Recipe) -> str:
    if recipe.smoke_test[:2] != ("python", "-c"):
        return ""
    try:
        # Compiles, and runs nothing.
        compile("".join(recipe.smoke_test[2:3]), "smoke-test", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return f"its smoke-test is no Python: {error}; a command is a list of its arguments"
    return ""


def _notes(rule: RecipeRule, targets: Sequence[Target]) -> Iterator[str]:
    recipe = rule.recipe
    if recipe == Recipe():
        yield "says nothing"
    if recipe.network and not recipe.network_reason:
        yield 'the network stays on, and nobody knows why: write network = "the reason"'
    idle = [pattern for pattern in rule.targets if not any(fnmatchcase(target.name, pattern) for target in targets)]
    if idle:
        yield f"no configured target fits {', '.join(idle)}"
    names = [patch.sha256 for patch in recipe.patches]
    if len(set(names)) < len(names):
        yield "a patch stands there twice: it will not apply the second time"
