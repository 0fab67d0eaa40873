"""Pages that a survey on the same store has read: better than no answer where upstream is silent and none was served before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from farm.adapters.index_page import without_credentials
from farm.adapters.mirror_disk import SCHEMA, Facts, page_digest
from farm.errors import FarmError

if TYPE_CHECKING:
    from farm.adapters.mirror_disk import PageDisk
    from farm.adapters.page_cache import PageCache
    from farm.model.package import NormalizedName

_GROUP = tuple[list[int], bytes]
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_JSON = "application/vnd.pypi.simple.v1+json"


class SurveyedPages:
    """Makes pages of what the survey keeps: every entry with all its keys, without what stood beside the files."""

    def __init__(self, cache: PageCache, disk: PageDisk) -> None:
        self._cache = cache
        self._disk = disk

    def page(self, index: str, name: NormalizedName) -> Facts | None:
        """Return the page, kept as if it had been served, and old: upstream is to be asked as soon as it answers."""
        known = self._cache.load(index, name)
        if known is None or known.project is None:
            return None
        try:
            entries = known.project.entries
            placed: list[tuple[int, msgspec.Raw]] = []
            for group in entries.groups.values():
                numbers, array = msgspec.msgpack.decode(group, type=_GROUP)
                placed += zip(numbers, _raws.decode(array), strict=True)
        except (FarmError, msgspec.DecodeError, ValueError):
            return None
        files = [raw for _, raw in sorted(placed, key=lambda pair: pair[0])]
        body = msgspec.json.encode({"meta": {"api-version": "1.0"}, "name": name, "files": files})
        facts = Facts(
            schema=SCHEMA,
            index=without_credentials(index),
            name=name,
            digest=page_digest(body),
            url=entries.base,
            content_type=_JSON,
            etag=None,
            read=known.fetched_at,
            fresh_until=0.0,
        )
        return self._disk.save(facts, body, None)
