"""What clients wait for, one build at a time: which is next, when it may be, and when again after it failed. Pure: time is handed in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Wish:
    """One version for one configured target."""

    name: str
    version: str
    target: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"

    def __str__(self) -> str:
        return f"{self.name} {self.version} for {self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient the farm is, in seconds.

    `settle`: a wish waits so long for others like it; at most `most` wait. After a build it rests `rest`, after a failed one twice that;
    and each time that it comes to the same end again (who wants no wheels goes on to fetch the sdist) twice as long, up to `longest`.
    """

    settle: float = 3.0
    most: int = 200
    rest: float = 900.0
    longest: float = 86400.0


@dataclass(slots=True)
class _Asked:
    since: float
    count: int


@dataclass(slots=True)
class _Past:
    until: float
    well: bool
    times: int


class Waiting:
    """Wishes, each once however many ask. Not safe for threads."""

    def __init__(self, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._asked: dict[Wish, _Asked] = {}
        self._past: dict[Wish, _Past] = {}
        self._building: Wish | None = None

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, wish: Wish, count: int, now: float) -> bool:
        """Take a wish in, or add to it; False where it is left out: it was built or failed lately, is being built, or too many wait."""
        found = self._asked.get(wish)
        if found is not None:
            found.count += count
            return True
        past = self._past.get(wish)
        if wish == self._building or (past is not None and now < past.until) or len(self._asked) >= self._pace.most:
            return False
        self._asked[wish] = _Asked(now, count)
        return True

    def next(self, now: float) -> tuple[Wish, int] | None:
        """Return what to build, with how often it was asked for: the most wanted, then the longest waiting. None: nothing is ripe."""
        if self._building is not None:
            return None
        ripe = [(wish, asked) for wish, asked in self._asked.items() if now - asked.since >= self._pace.settle]
        if not ripe:
            return None
        wish, asked = min(ripe, key=lambda pair: (-pair[1].count, pair[1].since))
        del self._asked[wish]
        self._building = wish
        return wish, asked.count

    def ended(self, wish: Wish, *, well: bool, now: float) -> float:
        """Take note of how a build ended; return for how many seconds the wish rests."""
        self._building = None
        before = self._past.pop(wish, None)
        times = before.times + 1 if before and before.well == well else 1
        rest = min(self._pace.rest * (1 << min(times - well, 30)), self._pace.longest)
        self._past[wish] = _Past(now + rest, well, times)
        # The oldest first; a wish that is forgotten may be asked once more, and the catalogue remembers what failed.
        while len(self._past) > 10 * self._pace.most:
            del self._past[next(iter(self._past))]
        return rest
