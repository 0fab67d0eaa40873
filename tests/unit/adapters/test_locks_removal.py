"""Removing the files of idle locks never lets two hold the same lock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from farm.adapters.locks import Locks

if TYPE_CHECKING:
    from pathlib import Path


def test_a_waiter_whose_lock_file_was_removed_takes_the_new_one(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    inside, leave = threading.Event(), threading.Event()

    def wait_and_hold() -> None:
        with locks.run("R"):
            inside.set()
            leave.wait(10)

    waiter = threading.Thread(target=wait_and_hold)
    with locks.run("R"):
        waiter.start()
        waiter.join(0.3)
        # What `remove_idle` does once it has the lock.
        (tmp_path / "run-R").unlink()
    try:
        assert inside.wait(10)
        assert locks.alive("R"), "somebody else could have the same lock now"
    finally:
        leave.set()
        waiter.join(10)


def test_a_held_lock_keeps_its_file(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    with locks.run("R"):
        locks.remove_idle("run-R")
        assert (tmp_path / "run-R").exists()
        assert not locks.idle("run-R")
    assert locks.idle("run-R")
    locks.remove_idle("run-R")
    assert not (tmp_path / "run-R").exists()


def test_who_removes_waits_for_publishers_and_lets_none_begin(tmp_path: Path) -> None:
    order: list[str] = []
    removing, publishing = threading.Event(), threading.Event()

    def remove() -> None:
        removing.set()
        with Locks(tmp_path).removing():
            order.append("removed")

    def publish() -> None:
        publishing.set()
        with Locks(tmp_path).publishing():
            order.append("published")

    threads = [threading.Thread(target=remove), threading.Thread(target=publish)]
    with Locks(tmp_path).publishing(), Locks(tmp_path).publishing():
        threads[0].start()
        removing.wait(10)
        threads[0].join(0.2)
        threads[1].start()
        publishing.wait(10)
        threads[1].join(0.2)
        assert order == []
    for thread in threads:
        thread.join(10)
    # The remover was first at the gate.
    assert order == ["removed", "published"]
