"""What an upload heeds of upstream's pages, however malformed these are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from packaging.utils import canonicalize_name

from farm.model.mirrored import UpstreamPage
from farm.wire.uploads import project_of

DEMO = canonicalize_name("demo")


def page(*files: Any, **more: Any) -> UpstreamPage:
    return UpstreamPage(document={"files": list(files), **more}, base="https://up.example/")


def test_no_page_is_no_project() -> None:
    assert project_of(DEMO, ()) is None


def test_the_strictest_status_of_all_indexes_counts() -> None:
    def status(*words: object) -> str:
        found = project_of(DEMO, [page(**({"project-status": word} if word else {})) for word in words])
        assert found is not None
        return found.status

    assert status(None) == "active"
    assert status({"status": "archived"}, {"status": "active"}) == "archived"
    assert status({"status": "archived"}, {"status": "quarantined"}) == "quarantined"
    assert status("archived") == "active"


def test_a_malformed_entry_still_takes_its_name() -> None:
    good = {
        "filename": "demo-1.0.tar.gz",
        "hashes": {"sha256": "A" * 64},
        "yanked": "x",
        "upload-time": "2024-01-02T03:04:05Z",
    }
    bad = {"filename": "demo-1.0-py3-none-any.whl", "hashes": None, "yanked": None, "upload-time": 7}
    found = project_of(DEMO, [page(good, bad, "nonsense", {"filename": 3})])
    assert found is not None
    first, second = found.files
    assert (first.sha256, first.yanked, first.upload_time) == ("a" * 64, "x", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert first.is_sdist
    assert (second.filename, second.sha256, second.yanked, second.upload_time) == (bad["filename"], None, False, None)
