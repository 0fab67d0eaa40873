"""Fills a farm's store with wheels that exist already, through the farm's own publishing.

python benchmarks/serve_store.py STORE LIST

LIST has a JSON object a line: `path`, `name`, `version`, `metadata` (a path) and `requires_python`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.model.attempt import WheelRecord
from farm.model.job import JobKey
from farm.model.outcome import Built, StagedWheel, Verified
from farm.model.package import Digest, Version
from farm.serve.simple import render_project

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 500


def fill(folder: Path, wheels: Sequence[dict[str, Any]]) -> None:
    """Publish wheels into the store in `folder`, some hundred at a time."""
    store = Store(folder, render_project, SystemClock())
    for start in range(0, len(wheels), BATCH):
        store.publish_many([_proven(wheel) for wheel in wheels[start : start + BATCH]])
    store.close()


def _proven(wheel: dict[str, Any]) -> tuple[WheelRecord, Verified]:
    path, metadata = Path(wheel["path"]), Path(wheel["metadata"]).read_bytes()
    data = path.read_bytes()
    digest, key = Digest(hashlib.sha256(data).hexdigest()), JobKey(hashlib.sha256(path.name.encode()).hexdigest())
    now = datetime.now(tz=UTC)
    record = WheelRecord(
        filename=path.name,
        name=wheel["name"],
        version=Version(wheel["version"]),
        sha256=digest,
        size=len(data),
        metadata_sha256=Digest(hashlib.sha256(metadata).hexdigest()),
        requires_python=wheel["requires_python"],
        yanked=False,
        upload_time=now,
        built_at=now,
        sdist=f"{wheel['name']}-{wheel['version']}.tar.gz",
        sdist_sha256=Digest("5" * 64),
        key=key,
        attempt="benchmark",
        targets=("cp311-manylinux_2_17_x86_64",),
    )
    staged = StagedWheel(filename=path.name, path=path, sha256=digest, size=len(data))
    built = Built(attempt="benchmark", key=key, wheel=staged, image="sha256:1", seconds=1.0)
    return record, Verified(built=built, verdicts=(), metadata=metadata)


if __name__ == "__main__":
    fill(Path(sys.argv[1]), [json.loads(line) for line in Path(sys.argv[2]).read_text().splitlines()])
