"""The control socket of one unit: a command a line, and what the monitor says to it.

Part of the monitor (standard library only).
"""

from __future__ import annotations

import _socket
import os
import select
import sys

EPOLLIN = select.EPOLLIN
MOST_COMING = 64  # who has connected and not said all of a command; the oldest goes


def quoted(text):
    """`text` as a JSON string; the words are ours."""
    return '"' + text.replace("\\", " ").replace('"', "'") + '"'


class Control:
    """What the control plane asks of a unit, whose monitor is `unit`."""

    def __init__(self, unit):
        self.unit, self.loop = unit, unit.loop
        self.coming = {}  # connections whose command is not there yet, and what is there of it
        self.waiting = []  # connections that are told when the unit has ended
        path = unit.orders["control"]
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        kind = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
        listener = _socket.socket(_socket.AF_UNIX, kind)
        before = os.umask(0o177)
        listener.bind(os.fsencode(path))
        os.umask(before)
        listener.listen(64)
        self.listener = listener
        self.loop.watch(listener.fileno(), EPOLLIN, self.admit)

    def admit(self, _events):
        try:
            fd, _ = self.listener._accept()
        except OSError:
            return
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        connection.setblocking(False)
        if len(self.coming) >= MOST_COMING:
            self.let_go(next(iter(self.coming)))
        self.coming[connection] = b""
        self.loop.watch(fd, EPOLLIN, lambda _events: self.read(connection))

    def read(self, connection):
        """Take what has come of a command; the rest may be long in coming, and nobody waits for it here."""
        try:
            line = self.coming[connection]
            waiting = connection.recv(256, _socket.MSG_PEEK)
            line += connection.recv(waiting.find(b"\n") + 1 or len(waiting))  # what follows belongs to the app
            if waiting and not line.endswith(b"\n") and len(line) < 256:
                self.coming[connection] = line
                return
            self.forget(connection)
            self.obey(connection, line.decode().split())
        except BlockingIOError:
            return
        except (OSError, ValueError, IndexError) as error:
            self.forget(connection)
            self.answer(connection, f'{{"error": {quoted(repr(error))}}}')

    def forget(self, connection):
        if self.coming.pop(connection, None) is not None:
            self.loop.drop(connection.fileno())

    def let_go(self, connection):
        self.forget(connection)
        connection.close()

    def obey(self, connection, words):
        command = words[0]
        if command == "accept":
            if self.unit.door is not None and self.unit.exit is None:
                self.unit.door.open()
            self.unit.forwarder.accept(int(words[1]))
            self.answer(connection, self.told())
        elif command == "quiesce":
            if self.unit.door is not None:
                self.unit.door.shut()
            self.unit.forwarder.quiesce()
            self.answer(connection, self.told())
        elif command == "dial" and self.unit.exit is None:
            self.unit.forwarder.dial(connection, int(words[1]))
        elif command == "wait" and self.unit.exit is None:
            self.waiting.append(connection)
            self.loop.watch(connection.fileno(), EPOLLIN, lambda _events: self.leave_waiting(connection))
        elif command == "stop":
            self.unit.stop(float(words[1]))
            self.answer(connection, self.told())
        elif command in ("listener", "handed") and self.held(command) is not None:
            fd = self.held(command).fileno()
            rights = fd.to_bytes(4, sys.byteorder)
            connection.sendmsg([b"{}\n"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            connection.close()
        else:
            self.answer(connection, self.told())

    def held(self, which):
        return self.unit.forwarder.listener if which == "listener" else self.unit.forwarder.handed

    def leave_waiting(self, connection):
        self.waiting.remove(connection)
        self.loop.drop(connection.fileno())
        connection.close()

    def tell_end(self):
        for connection in self.waiting:
            self.loop.drop(connection.fileno())
            self.answer(connection, self.unit.exit)
        self.waiting = []

    def told(self):
        accepting, in_flight = str(self.unit.forwarder.accepting).lower(), self.unit.forwarder.in_flight
        exited = str(self.unit.exit is not None).lower()
        return f'{{"accepting": {accepting}, "in_flight": {in_flight}, "exited": {exited}}}'

    def answer(self, connection, text):
        try:
            connection.sendall(text.encode() + b"\n")
        except OSError:
            pass
        connection.close()
