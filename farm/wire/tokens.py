"""Tokens put together: for `farm token`, and for servers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from farm.adapters.clock import SystemClock
from farm.adapters.token_file import TokenFile
from farm.serve.access import TokenAccess
from farm.wire.site import statement_base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.adapters.tokens import Tokens
    from farm.model.settings import Settings


@contextmanager
def open_tokens(settings: Settings) -> Iterator[Tokens]:
    """Yield the store's tokens, to be made and revoked. StoreError when the store cannot be written."""
    from farm.adapters.store import Store  # noqa: PLC0415 - only what a command needs
    from farm.adapters.tokens import Tokens  # noqa: PLC0415 - the same
    from farm.serve.simple import render_project  # noqa: PLC0415 - the same

    store = Store(settings.store, render_project, SystemClock(), provenance=statement_base(settings))
    try:
        yield Tokens(settings.store, store.catalogue.database, store.locks)
    finally:
        store.close()


def make_access(settings: Settings) -> TokenAccess:
    """Return who may do what on this store, as every server on it sees it."""
    open_reading = settings.read_access == "open"
    return TokenAccess(TokenFile(settings.store), SystemClock().now, open_reading=open_reading)
