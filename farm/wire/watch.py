"""Watch sets put together: which there are, registering them, and a look at them (docs/watch.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.adapters.watch_sources import absolute, shown_source
from farm.errors import UsageError
from farm.model.watch import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farm.model.watch import Look, WatchSet
    from farm.wire.assembly import Farm

__all__ = ["Described", "absolute", "describe", "look", "named", "register", "sets", "shown_source", "unregister"]


def say_nothing(subject: str, text: str) -> None:
    """Take what a look says of its progress."""
    del subject, text


def sets(farm: Farm) -> tuple[WatchSet, ...]:
    """Return config.toml's sets and the registered ones, by name. UsageError for a name that is in both."""
    configured = {each.name: each for each in farm.settings.watches}
    registered = {each.name: each for each in farm.records.watches.registered()}
    both = sorted(configured.keys() & registered.keys())
    if both:
        raise UsageError(
            f"watch set {both[0]}: expected it in one place, found it in {farm.settings.source} and registered with `farm watch add`",
            solution=f"`farm watch remove {both[0]}`, or rename [watch.{both[0]}] in the file",
        )
    return tuple({**configured, **registered}[name] for name in sorted({*configured, *registered}))


def named(farm: Farm, names: Sequence[str]) -> tuple[WatchSet, ...]:
    """Return the sets of these names, all without any. UsageError for a name that no set has."""
    known = {each.name: each for each in sets(farm)}
    for name in names:
        if name not in known:
            raise _no_such(name, tuple(known))
    return tuple(known[name] for name in dict.fromkeys(names)) if names else tuple(known.values())


def look(farm: Farm, chosen: Sequence[WatchSet], say: Callable[[str, str], None] = say_nothing) -> Watched:
    """Return what the sets want, what of that is there, and one plan for what is missing; the catalogue then has it too.

    A set that cannot be read is told in its Look, and wants what it wanted before; so does one whose index did not answer, all of
    whose cells are then unknown. With `farm.reads_only` no engine is asked which images there are. StoreError.
    """
    from farm.survey.union import joined_cells, users_of  # noqa: PLC0415 - only what a command needs
    from farm.wire.watch_look import Looker  # noqa: PLC0415 - the same

    everything = {each.name for each in sets(farm)}
    with Looker(farm, say) as looker:
        seen, plan = looker.look(chosen)
    cells = joined_cells(each.wants for each in seen)
    users = users_of(plan, {each.watch.name: each.wants for each in seen}) if plan.jobs else {}
    whole = everything <= {each.name for each in chosen}
    watches = farm.records.watches
    watches.keep(seen)
    watches.keep_cells(cells, farm.clock.now(), whole=whole)
    if whole:
        # One that was registered meanwhile is nobody's to forget.
        watches.forget_others(everything | {each.name for each in watches.registered()})
    return Watched(sets=seen, plan=plan, users=users, cells=cells, notes=tuple(dict.fromkeys((*farm.notes(), *plan.notes))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a set's sources lead to now: files as people see them, kinds of file, and how many requirements and locked packages."""

    files: tuple[str, ...]
    kinds: tuple[str, ...]
    requirements: int
    packages: int
    remarks: tuple[str, ...]


def describe(farm: Farm, watch: WatchSet, say: Callable[[str, str], None] = say_nothing) -> Described:
    """Return what a set's sources lead to. UsageError, RequirementsError or UpstreamError when they cannot be read."""
    from farm.wire.watch_read import Reader  # noqa: PLC0415 - only what a command needs

    reader = Reader(farm, say)
    opened = reader.open(watch)
    demands = reader.read(opened)
    return Described(
        files=opened.files,
        kinds=reader.kinds(opened),
        requirements=sum(len(demand.requirements) + len(demand.direct) for demand in demands),
        packages=sum(len(lock.packages) for demand in demands for lock in demand.locks),
        remarks=tuple(opened.told(str(remark)) for demand in demands for remark in demand.remarks),
    )


def register(farm: Farm, watch: WatchSet) -> None:
    """Register a set. UsageError when its name is taken."""
    if watch.name in {each.name for each in farm.settings.watches}:
        raise UsageError(
            f"{watch.name}: expected a name that is free, found [watch.{watch.name}] in {farm.settings.source}",
            solution="choose another one with --name",
        )
    farm.records.watches.add(watch, farm.clock.now())


def unregister(farm: Farm, name: str) -> None:
    """Remove a registered set, and what is known of it. UsageError when there is none of that name."""
    if farm.records.watches.remove(name):
        return
    if name in {each.name for each in farm.settings.watches}:
        raise UsageError(f"{name}: it stands in {farm.settings.source}", solution=f"remove [watch.{name}] from the file")
    raise _no_such(name, tuple(each.name for each in sets(farm)))


def states(farm: Farm) -> tuple[Mapping[str, Look], Mapping[str, Counter[str]]]:
    """Return the last look at each set, and how many of its cells were in which state then."""
    watches = farm.records.watches
    return watches.looks(), {name: Counter(counts) for name, counts in watches.counts().items()}


def _no_such(name: str, known: Sequence[str]) -> UsageError:
    import difflib  # noqa: PLC0415 - only on a mistake

    near = difflib.get_close_matches(name, known, n=1)
    hint = f"perhaps you meant {near[0]}" if near else f"known: {', '.join(known)}" if known else "`farm watch add` registers one"
    return UsageError(f"{name}: expected a watch set's name, found none such", solution=hint)
