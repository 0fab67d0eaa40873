"""One file on its way to one client, by sendfile(2), without blocking."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farm.serve.kept import OpenFile

# What one call may send: other connections wait meanwhile.
_TURN = 1 << 20


class Gone(Exception):  # noqa: N818 - says what happened
    """The client went away, or the file ended early: only closing the connection tells the client."""


class Sending:
    """An answer's head, then a file. `advance` sends what fits; `left` is what is still to go, in bytes."""

    __slots__ = ("_file", "_head", "_offset", "_size", "_socket")

    def __init__(self, connection: socket.socket, head: bytes, file: OpenFile, size: int) -> None:
        self._socket = connection
        self._head = head
        self._file = file
        self._offset = 0
        self._size = size

    @property
    def left(self) -> int:
        return len(self._head) + self._size - self._offset

    def advance(self) -> bool:
        """Send on; True when all is sent, False when the client must read first or others are to have their turn. Gone."""
        try:
            if self._head:
                # The head waits for the file's first bytes, so that both leave in one packet.
                self._head = self._head[self._socket.send(self._head, socket.MSG_MORE) :]
                if self._head:
                    return False
            end = min(self._offset + _TURN, self._size)
            while self._offset < end:
                sent = os.sendfile(self._socket.fileno(), self._file.fd, self._offset, end - self._offset)
                if not sent:
                    raise Gone
                self._offset += sent
        except BlockingIOError:
            return False
        except OSError as error:
            raise Gone from error
        return self._offset == self._size


def duplicate(fileno: int) -> socket.socket:
    """Return a socket of its own descriptor: an event loop watches no descriptor that one of its transports has."""
    copy = socket.socket(fileno=os.dup(fileno))
    copy.setblocking(False)
    return copy
