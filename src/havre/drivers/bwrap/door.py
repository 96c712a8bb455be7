"""The door of one unit: a socket that leads to it alone, and a symlink to that socket while the unit accepts.

Part of the monitor (standard library only). Who finds the link and a process behind it knows who accepts; of a monitor
that was killed the link may be left, and nobody behind it. Its successor in the app has the same door.
"""

from __future__ import annotations

import _socket as socket
import os

BACKLOG = 1024


class Door:
    """`path` is the link, `tag` what makes the socket's own name differ from those of others with this door."""

    def __init__(self, path, tag):
        self.path = path
        self.name = f"{os.path.basename(path).removesuffix('.sock')}.{tag}"
        self.bound = os.path.join(os.path.dirname(path), self.name)
        try:
            os.unlink(self.bound)
        except FileNotFoundError:
            pass
        kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self.socket = socket.socket(socket.AF_UNIX, kind)
        self.socket.bind(os.fsencode(self.bound))

    def open(self):
        """Whoever goes to the link comes to us from now on."""
        self.socket.listen(BACKLOG)
        fresh = f"{self.bound}.new"
        try:
            os.unlink(fresh)
        except FileNotFoundError:
            pass
        os.symlink(self.name, fresh)
        os.rename(fresh, self.path)

    def shut(self):
        """Nobody comes any more; who is on the way still does."""
        try:
            if os.readlink(self.path) == self.name:
                os.unlink(self.path)
        except OSError:
            pass

    def leave(self):
        self.shut()
        try:
            os.unlink(self.bound)
        except OSError:
            pass
