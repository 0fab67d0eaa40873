"""The end of a night's time, where it comes before there is anything to end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from farm.config import load
from farm.wire import Farm
from farm.wire.bell import Bell

if TYPE_CHECKING:
    from pathlib import Path


class LateFarm(Farm):
    """Its engine begins only after the time and the grace are over: as when clearing up after a dead night takes long."""

    asked = 0

    def abandon(self) -> None:
        self.asked += 1
        if self.asked == 1:
            super().abandon()
        self.heard.set()

    heard: threading.Event


def test_an_engine_that_begins_after_the_grace_is_ended_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('targets = ["cp311-manylinux_2_36_x86_64"]\n')
    given = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    with LateFarm(load(tmp_path / "config.toml", home=tmp_path), given) as farm:
        farm.heard = threading.Event()
        bell = Bell(farm, 0.0, 0.0)
        with bell:
            assert farm.heard.wait(20), "nobody ends it"
    assert (bell.rung, farm.asked >= 2) == (True, True)
