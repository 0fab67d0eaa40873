"""A few calls at the same time, that Ctrl-C ends at once: a thread that waits for a slow server is not waited for.

`concurrent.futures` joins its threads when it is left, and once more when the interpreter ends; an interrupted run would
hang for as long as the slowest server.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(call: Callable[[_Item], _Result], items: Iterable[_Item], *, limit: int) -> list[_Result]:
    """Return `call(item)` for each item, in their order, with at most `limit` calls at the same time.

    After the first exception that a call raises no further call begins; it is raised here once the others have ended.
    """
    work = list(items)
    results: dict[int, _Result] = {}
    failures: list[BaseException] = []
    left = iter(range(len(work)))
    guard = threading.Lock()
    over = threading.Event()
    ended: SimpleQueue[None] = SimpleQueue()

    def work_off() -> None:
        try:
            while not over.is_set():
                with guard:
                    number = next(left, None)
                if number is None:
                    return
                results[number] = call(work[number])
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            failures.append(error)
            over.set()
        finally:
            ended.put(None)

    threads = min(limit, len(work))
    try:
        for number in range(threads):
            threading.Thread(target=work_off, name=f"side-by-side-{number}", daemon=True).start()
        for _ in range(threads):
            _wait(ended)
    finally:
        over.set()
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(work))]


def _wait(ended: SimpleQueue[None]) -> None:
    # A signal that comes just before a wait without end is not seen until that ends; so the wait has one.
    while True:
        try:
            return ended.get(timeout=0.25)
        except Empty:
            continue
