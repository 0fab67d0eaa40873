"""Core metadata as text: what is changed of it before a resolver reads it."""

from __future__ import annotations

from farm.adapters.core_metadata import read_fields, without_urls
from tests.fakes.nouns import canonical

METADATA = """Metadata-Version: 2.2
Name: demo
Version: 1.0
Requires-Dist: Leaf[x] @ git+https://h/leaf ; python_version > "3"
Requires-Dist: other @ https://h/other.zip
Requires-Dist: plain>=1
Requires-Dist: not @@ valid

Requires-Dist: leaf @ text of the description
"""


def test_the_urls_of_names_that_the_user_has_placed_are_taken_out_and_nothing_else() -> None:
    told = without_urls(METADATA, {canonical("leaf")})
    assert read_fields(told).requires_dist == (
        'Leaf[x]; python_version > "3"', "other @ https://h/other.zip", "plain>=1", "not @@ valid",
    )  # fmt: skip
    assert without_urls(METADATA, ()) == METADATA
    assert told.count("\n") == METADATA.count("\n")
