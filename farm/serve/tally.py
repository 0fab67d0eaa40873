"""What the server answered, counted at hardly any cost: for the catalogue (misses, clients, downloads) and for metrics.

One `Tally` per server process, handed to `create_app` in `Options.tally`. Every answer is an `Answered`, noted once where the
application gave it, and counted again, by one call, whenever the short cut of `farm.serve.fast` repeats it. Two readers:

- `totals()`, for the Prometheus endpoint: counters that only grow, by `Totals` key (view, kind, family, status). Few keys.
- `take()`, for the flush to the catalogue (`farm.wire.counting`): what came since the last call, by `Answered`.

What counts is called in the server's event loop and takes no lock; the readers may be in any thread, and take one among themselves.
Nothing of an address is known here.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

from farm.serve.agents import read_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farm.model.demand_seen import Agent

View = Literal["merged", "wheels", "strict", ""]
Kind = Literal["root", "page", "wheel", "metadata", "sdist", "statement", "upstream", "other"]
"""`wheel`, `metadata`, `statement` and `sdist` below `/files/` are the farm's own; `upstream` and `sdist` below `/packages/` upstream's."""

_WAITING = 250_000
_DISTINCT = 50_000
_SDISTS = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")
_LONGEST_NAME = 512
_FILES = frozenset({200, 206, 302, 307})
_PAGES = frozenset({200, 304})


class Totals(NamedTuple):
    """A kind of answer, as metrics tell them apart. `family` is the program (`pip`, `uv`, ..., `other`).

    `taken`: an installer gets a whole page or file with it, or its beginning; see `Answered.fetched`.
    """

    view: View
    kind: Kind
    family: str
    status: int
    taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """An answer: what was asked for, by whom, and how it went. Two are the same only if they are one object: that is cheap.

    `name` is the file's, "" for a page. `own`: a file of the farm's. `fetched`: the client gets the whole file with this answer,
    or its beginning, or is sent to where it is; not for HEAD, the rest of a range, and 304. Of a page it is also fetched with 304.
    """

    view: View
    kind: Kind
    agent: Agent
    status: int
    name: str = ""
    own: bool = False
    fetched: bool = False

    @property
    def totals(self) -> Totals:
        return Totals(self.view, self.kind, self.agent.program, self.status, self.fetched and self.agent.installs)


class _Noted:
    """How often an answer was given. Only the event loop raises `count`, only a reader raises `taken`."""

    __slots__ = ("_queue", "_waiting", "answered", "count", "queued", "taken")

    def __init__(self, answered: Answered, queue: deque[_Noted], waiting: int) -> None:
        self.answered = answered
        self.count = self.taken = 0
        self.queued = False
        self._queue = queue
        self._waiting = waiting

    def __call__(self) -> None:
        # In this order, and the reader in the other: whoever finds `queued` set is counted by the reader who has yet to clear it.
        self.count += 1
        if not self.queued and len(self._queue) < self._waiting:
            self.queued = True
            self._queue.append(self)

    def take(self) -> int:
        """Return how often since the last time."""
        self.queued = False
        count = self.count
        new = count - self.taken
        self.taken = count
        return new


class Tally:
    """Counts answers. What nobody takes is lost beyond a quarter of a million different ones, and never in a request's way."""

    def __init__(self, waiting: int = _WAITING) -> None:
        self._queue: deque[_Noted] = deque()
        self._waiting = waiting
        self._lock = Lock()
        self._totals: Counter[Totals] = Counter()
        self._untaken: Counter[Answered] = Counter()

    def note(self, answered: Answered) -> Callable[[], None]:
        """Count an answer, and return what counts it once more each time that it is called."""
        again = _Noted(answered, self._queue, self._waiting)
        again()
        return again

    def totals(self) -> Mapping[Totals, int]:
        """Return how many answers there were of each kind since the server started."""
        with self._lock:
            self._drain()
            return dict(self._totals)

    def take(self) -> Mapping[Answered, int]:
        """Return what was answered since the last call."""
        with self._lock:
            self._drain()
            taken, self._untaken = self._untaken, Counter()
            return taken

    def _drain(self) -> None:
        # Only what is there now: requests go on meanwhile.
        for _ in range(len(self._queue)):
            noted = self._queue.popleft()
            answered, count = noted.answered, noted.take()
            self._totals[answered.totals] += count
            if answered in self._untaken or len(self._untaken) < _DISTINCT:
                self._untaken[answered] += count


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a request is counted. `start`: it asks for a whole file, or for a part from its first byte on."""

    method: str
    path: str
    agent: bytes
    start: bool


def answered(asked: Asked, status: int) -> Answered:
    """Return what is counted for an answer. `path` counts from the index's root."""
    view, kind, name, own = _classify(asked.path)
    fetched = asked.method == "GET" and (status in _PAGES if kind == "page" else asked.start and bool(name) and status in _FILES)
    agent = read_agent(asked.agent)
    return Answered(view=view, kind=kind, agent=agent, status=status, name=name[:_LONGEST_NAME], own=own, fetched=fetched)


def _classify(path: str) -> tuple[View, Kind, str, bool]:
    parts = path.removeprefix("/").split("/")
    view: View = "merged"
    if parts[0] == "wheels":
        view, parts = "wheels", parts[1:]
    elif parts[0] == "strict":
        view, parts = "strict", parts[2:]
    match parts:
        case ["simple", ""]:
            return view, "root", "", False
        case ["simple", project, ""] if project:
            return view, "page", "", False
        case ["files", _, _, name]:
            return view, _kind(name, "wheel"), name, True
        case ["packages", *_, name]:
            return view, _kind(name, "upstream"), name, False
        case _:
            pass
    return "", "other", "", False


def _kind(name: str, wheel: Kind) -> Kind:
    if name.endswith(".metadata"):
        return "metadata"
    if name.endswith((".provenance", ".intoto.jsonl")):
        return "statement"
    if name.endswith(".whl"):
        return wheel
    return "sdist" if name.endswith(_SDISTS) else "other"
