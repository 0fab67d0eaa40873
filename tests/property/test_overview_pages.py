"""Of any catalogue: the matrix, page after page, is the whole matrix, and its totals are its rows."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.model.overview import MatrixQuery
from tests.fakes.overview_rows import T1, T2, made

if TYPE_CHECKING:
    from farm.adapters.overview import CatalogueOverview
    from farm.model.overview import Cell, MatrixRow

NAMES = ("a", "a-b", "a0", "b", "ba", "z")
VERSIONS = ("1.0", "1.0.post1", "2.0", "10.0", "nonsense")
STATES = ("upstream-wheel", "build", "failed", "blocked")
PINS = st.tuples(st.sampled_from(NAMES), st.sampled_from(VERSIONS), st.sampled_from((T1, T2)))
CELLS = st.dictionaries(PINS, st.sampled_from(STATES), max_size=12)
ATTEMPTS = st.lists(st.tuples(PINS, st.sampled_from(("published", "failed", "building", "timed-out"))), max_size=8)
WHEELS = st.frozensets(PINS, max_size=5)
WANTED = st.frozensets(PINS, max_size=10)
QUERIES = st.builds(
    MatrixQuery, search=st.sampled_from(("", "a", "A_b", "zz")), watch=st.sampled_from(("", "web")),
    states=st.lists(st.sampled_from((*STATES, "farm-wheel", "timed-out", "cancelled")), unique=True, max_size=3).map(tuple),
    targets=st.lists(st.sampled_from((T1, T2)), unique=True, max_size=2).map(tuple),
)  # fmt: skip


def pages(overview: CatalogueOverview, query: MatrixQuery, limit: int) -> list[MatrixRow]:
    found: list[MatrixRow] = []
    after = ""
    for _ in range(200):
        page = overview.matrix(MatrixQuery(
            search=query.search, watch=query.watch, states=query.states, targets=query.targets, after=after, limit=limit,
        ))  # fmt: skip
        assert len(page.rows) <= limit
        found += page.rows
        after = page.next
        if not after:
            return found
    raise AssertionError("the pages have no end")


CATALOGUES = st.tuples(CELLS, ATTEMPTS, WHEELS, WANTED)


@settings(max_examples=12, deadline=None)
@given(catalogue=CATALOGUES, queries=st.lists(QUERIES, min_size=1, max_size=2), limit=st.integers(1, 4))
def test_pages_lose_and_repeat_nothing(catalogue: tuple[Any, ...], queries: list[MatrixQuery], limit: int) -> None:
    cells, attempts, wheels, wanted = catalogue
    with tempfile.TemporaryDirectory() as folder, made(Path(folder)) as rows:
        for (name, version, target), state in cells.items():
            rows.cell(name, version, target, state)
        for (name, version, target), state in attempts:
            rows.attempt(name, version, target, state)
        for pin in wheels:
            # Built ones have an attempt that was published.
            rows.wheel(*pin, rows.attempt(*pin, "published") if pin[0] > "a0" else "")
        for pin in wanted:
            rows.want("web", *pin)
        overview = rows.overview
        whole = overview.matrix(MatrixQuery(limit=200))
        counted = Counter((cell.target, cell.state) for row in whole.rows for cell in row.cells if cell)
        assert {(total.target, state): number for total in whole.totals for state, number in total.states.items()} == counted
        known = {(name, version) for name, version, _ in (*cells, *(pin for pin, _ in attempts), *wheels)}
        assert {(row.name, row.version) for row in whole.rows} == known
        for query in queries:
            fit = [
                (row.name, row.version) for row in whole.rows
                if query.search.lower().replace("_", "-") in row.name
                and (not query.watch or any((row.name, row.version) == pin[:2] for pin in wanted))
                and fits([cell for cell in row.cells if cell], query)
            ]  # fmt: skip
            assert [(row.name, row.version) for row in pages(overview, query, limit)] == fit


def fits(cells: list[Cell], query: MatrixQuery) -> bool:
    told = [cell for cell in cells if not query.targets or cell.target in query.targets]
    return any(cell.state in query.states for cell in told) if query.states else bool(told)
