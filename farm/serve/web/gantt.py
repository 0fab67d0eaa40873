"""A night as a chart: SVG made on the server, a lane for each slot, each bar a link to its build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from farm.serve.web.templates import duration, segment
from farm.serve.web.words import BUILDS, word

if TYPE_CHECKING:
    from farm.model.overview_runs import NightView, Span

_WIDTH: Final = 1160
_LEFT: Final = 52
_TOP: Final = 22
_LANE: Final = 26
_BAR: Final = 20
_LETTER: Final = 6.4
# Steps of the axis, in seconds: those that clocks have.
_STEPS: Final = (1, 5, 10, 30, 60, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MOST_MARKS: Final = 9


def chart(view: NightView) -> Markup:
    """Return the SVG of a night's builds. It has no colours of its own: the style sheet gives them by the state's kind."""
    total = max([span.ends for span in view.spans] + [1.0])
    lanes = max([view.lanes, *(span.lane + 1 for span in view.spans)])
    height = _TOP + lanes * _LANE + 4
    label = f"{len(view.spans)} builds in {lanes} slots over {duration(total)}"
    parts = [Markup('<svg viewBox="0 0 {} {}" role="group" aria-label="{}">').format(_WIDTH, height, label)]
    parts += [_lane(lane) for lane in range(lanes)]
    parts += [_mark(seconds, total, height) for seconds in _marks(total)]
    parts += [_bar(span, total) for span in view.spans]
    return Markup("\n").join([*parts, Markup("</svg>")])


def _x(seconds: float, total: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - 8) * min(max(seconds / total, 0.0), 1.0), 1)


def _marks(total: float) -> list[float]:
    step = next((step for step in _STEPS if total / step <= _MOST_MARKS), _STEPS[-1])
    while total / step > _MOST_MARKS:
        step *= 2
    return [float(step * number) for number in range(int(total // step) + 1)]


def _mark(seconds: float, total: float, height: int) -> Markup:
    x = _x(seconds, total)
    line = Markup('<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, _TOP - 4, height)
    return line + Markup('<text class="axis" x="{}" y="12">{}</text>').format(x, _clock(seconds))


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02}" + (f":{whole % 60:02}" if whole % 60 else "") + (" h" if not whole else "")


def _lane(lane: int) -> Markup:
    y = _TOP + lane * _LANE
    ground = Markup('<rect class="lane" x="{}" y="{}" width="{}" height="{}"/>').format(_LEFT, y, _WIDTH - _LEFT - 8, _LANE - 3)
    return ground + Markup('<text class="axis" x="4" y="{}">slot {}</text>').format(y + 16, lane + 1)


def _bar(span: Span, total: float) -> Markup:
    build, said = span.build, word(BUILDS, span.build.state)
    begin, end = _x(span.begins, total), _x(span.ends, total)
    width = round(max(end - begin, 3.0), 1)
    y = _TOP + span.lane * _LANE + 2
    title = f"{build.name} {build.version} for {build.target}: {said.text}, {duration(span.ends - span.begins)}"
    # Failures are told apart without colours too.
    sign = {"bad": "✕ ", "good": "✓ ", "ours": "✓ ", "todo": "… "}.get(said.kind, "")
    letters = int((width - 8) / _LETTER)
    name = sign + build.name
    shown = name if len(name) <= letters else f"{name[: letters - 1]}…" if letters > 3 else sign.strip() if letters >= 1 else ""
    text = Markup('<text class="name" x="{}" y="{}">{}</text>').format(round(begin + 4, 1), y + 14, shown) if shown else ""
    return Markup(
        '<a href="../build/{}" aria-label="{}"><title>{}</title>'
        '<rect class="bar bar-{}" x="{}" y="{}" width="{}" height="{}" rx="3"/>{}</a>'
    ).format(segment(build.id), title, title, said.kind, begin, y, width, _BAR, text)
