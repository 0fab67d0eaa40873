"""A night as Markdown, as the words of a message, and in one line. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.model.night import Fault

if TYPE_CHECKING:
    from farm.model.night import Item, Night

_MOST_IN_CHAT = 5
# What Markdown and chats would take for markup.
_MARKS = re.compile(r"([\\`*_{}\[\]<>|#~&])")
# What a compiler or a build script prints to colour a terminal, or to mislead who reads it: C0, DEL and C1, and what turns text round
# (Unicode Standard Annex 9, explicit formatting). A half of a surrogate pair has no encoding.
_UNSHOWN = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report: items or faults under a title. `bad` for what a person should look at; `left` counts what is not told."""

    title: str
    items: tuple[Item, ...] = ()
    faults: tuple[Fault, ...] = ()
    bad: bool = False
    left: int = 0

    @property
    def count(self) -> int:
        return len(self.items) + len(self.faults) + self.left


def sections(night: Night, most: int | None = None) -> tuple[Section, ...]:
    """Return the parts that have something in them, what needs a person first; of each at most so many items."""
    broken = (Fault(subject="farm", text=night.broken),) if night.broken else ()
    every = (
        Section(title="The night broke off", faults=broken, bad=True),
        Section(title="Regressions: built before, fails now", items=night.regressions, bad=True),
        Section(title="Cannot be read", faults=night.unreadable, bad=True),
        Section(title="Would be built", items=night.planned),
        Section(title="Built", items=night.built),
        Section(title="Still failing", items=night.failing, bad=True),
        Section(title="Cannot be had", items=night.hopeless, bad=True),
        Section(title="Not tried tonight: failed lately", items=night.waiting),
        Section(title="Left for another night", items=night.deferred),
        Section(title="Retired: upstream has a wheel now", items=night.retired),
        Section(title="Back: upstream's wheel is gone", items=night.returned),
        Section(title="Not delivered", faults=night.undelivered, bad=True),
    )
    return tuple(section if most is None else _cut(section, most) for section in every if section.count)


def _cut(section: Section, most: int) -> Section:
    items, faults = section.items[:most], section.faults[:most]
    return replace(section, items=items, faults=faults, left=section.count - len(items) - len(faults))


def rest(section: Section, night: Night) -> str:
    """Return what stands for what a section does not tell, "" where it tells all."""
    return f"and {section.left} more: farm report {night.id}" if section.left else ""


def headline(night: Night) -> str:
    """Return what happened in one line, as the subject of a mail."""
    counts = (
        (len(night.regressions), "regression", "regressions"), (len(night.unreadable), "unreadable", "unreadable"),
        (len(night.planned), "to build", "to build"),
        (len(night.built), "built", "built"), (len(night.failing), "failing", "failing"), (len(night.deferred), "deferred", "deferred"),
        (len(night.retired), "retired", "retired"), (len(night.returned), "back", "back"),
        (len(night.hopeless), "not to be had", "not to be had"),
    )  # fmt: skip
    told = [f"{number} {one if number == 1 else many}" for number, one, many in counts if number]
    if night.broken:
        told.insert(0, "broke off")
    elif night.state == "stopped":
        told.insert(0, "stopped")
    elif night.state == "running":
        told.insert(0, "has not ended yet")
    elif night.state == "killed":
        told.insert(0, "was killed before it could report")
    return f"farm nightly: {', '.join(told) or 'nothing has changed'}"


def facts(night: Night) -> tuple[tuple[str, str], ...]:
    """Return (what, figure) of a night, for people."""
    newly = {item.key for item in night.missing}
    spent = duration(night.seconds) + (f" of {duration(night.budget_s)}" if night.budget_s else "")
    every = (
        ("Requirement sets", str(night.sets)),
        ("Wheels wanted", f"{night.cells}, of which {night.there} there before"),
        ("Missing for the first time", str(len(newly)) if newly else ""),
        ("Healed", str(len(night.healed)) if night.healed else ""),
        ("Time spent", spent),
        ("Clients saved", f"{duration(night.saved_s)} of building ({night.saved_days})" if night.saved_s else ""),
        ("Garbage", f"{night.collected} things, {size(night.collected_bytes)}" if night.collected else ""),
    )
    return tuple((what, figure) for what, figure in every if figure)


def describe(item: Item) -> str:
    """Return what an item's line says after its name."""
    parts = [item.reason]
    if item.healed:
        parts.append(f"healed by {'; '.join(item.healed)}")
    if item.remedy and item.cause:
        parts.append(f"remedy: {item.remedy}")
    if item.since:
        parts.append(f"since {item.since}")
    if item.sets:
        parts.append(f"wanted by {', '.join(item.sets[:5])}{', …' if len(item.sets) > 5 else ''}")
    if item.attempt:
        parts.append(f"farm log {item.attempt}")
    return "; ".join(part for part in parts if part)


def markdown(night: Night) -> str:
    """Return the report as CommonMark."""
    lines = [f"# {headline(night)}", "", f"Night {night.id}{' (dry run)' if night.dry_run else ''}, begun {night.started}.", ""]
    lines += [f"- {what}: {escaped(figure)}" for what, figure in facts(night)]
    for section in sections(night):
        lines += ["", f"## {section.title} ({section.count})", ""]
        for item in section.items:
            lines.append(f"- **{escaped(str(item))}**: {escaped(describe(item)) or '–'}")
            if item.line:
                lines.append(f"  `{_flat(item.line).replace('`', chr(39))}`")
        lines += [f"- **{escaped(fault.subject)}**: {escaped(fault.text)}" for fault in section.faults]
    if night.notes:
        lines += ["", "## Notes", "", *(f"- {escaped(note)}" for note in night.notes)]
    return "\n".join(lines) + "\n"


def plain(night: Night, most: int | None = None) -> str:
    """Return the report as text for a terminal and for mail; `most` items of each part."""
    lines = [headline(night), *(f"  {what}: {figure}" for what, figure in facts(night))]
    for section in sections(night, most):
        lines += ["", f"{section.title} ({section.count})"]
        for item in section.items:
            lines.append(f"  {item}: {_flat(describe(item))}")
            if item.line:
                lines.append(f"    {_flat(item.line)}")
        lines += [f"  {_flat(fault.subject)}: {_flat(fault.text)}" for fault in section.faults]
        lines += [f"  {told}"] if (told := rest(section, night)) else []
    lines += [f"note: {_flat(note)}" for note in night.notes]
    return "\n".join(lines)


def chat(night: Night, link: str) -> str:
    """Return the JSON that Slack's incoming webhooks take, and Mattermost's, Discord's (`/slack`) and others': text with mrkdwn."""
    lines = [f"*{_chatted(headline(night))}*"]
    for section in sections(night):
        lines.append(f"*{section.title}* ({section.count})")
        told = [f"{item}: {describe(item)}" for item in section.items] + [f"{fault.subject}: {fault.text}" for fault in section.faults]
        lines += [f"• {_chatted(_flat(text)[:300])}" for text in told[:_MOST_IN_CHAT]]
        if len(told) > _MOST_IN_CHAT:
            lines.append(f"• and {len(told) - _MOST_IN_CHAT} more")
    lines += [f"{what}: {_chatted(figure)}" for what, figure in facts(night)]
    if link:
        lines.append(f"<{link}|The farm's index>")
    return json.dumps({"text": "\n".join(lines)}, ensure_ascii=False)


def duration(seconds: float) -> str:
    """Return seconds as "45 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def size(count: int) -> str:
    """Return bytes as "12 bytes", "3.4 MiB"."""
    if count < 1 << 20:
        return f"{count} bytes" if count < 1 << 10 else f"{count / (1 << 10):.1f} KiB"
    return f"{count / (1 << 20):.1f} MiB" if count < 1 << 30 else f"{count / (1 << 30):.1f} GiB"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    return _MARKS.sub(r"\\\1", _flat(text))


def _chatted(text: str) -> str:
    # Slack's own three (api docs, "Formatting text": escaping).
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shown(text: str) -> str:
    """Return text without what no reader can see: control characters, the colours of terminals, what turns text round."""
    return _UNSHOWN.sub("", text)


def _flat(text: str) -> str:
    return " ".join(shown(text).split())
