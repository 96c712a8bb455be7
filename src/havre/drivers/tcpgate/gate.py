"""The gate of TCP redirections: accepts on public ports and hands each connection to an instance, as a descriptor.

A program of its own (standard library only, `python -I -S gate.py FOLDER CONTROL HOST…`). `FOLDER/<port>` is a symlink
to the socket on which an app's instances take connections: the gate sends the accepted connection through it
(SCM_RIGHTS) and forgets it. No byte of a visitor passes through the gate, so that its end, or its restart, cuts
nobody; and with no instance accepting, connections wait in that socket's backlog like requests do.

`CONTROL` is a unix socket: whoever connects makes the gate look at the folder again and is told what it listens on.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import time

BACKLOG = 1024
WAIT_S = 10.0  # how long a visitor waits for an app where nobody listens
RETRY_S = 0.05
MOST_WAITING = 1024
SEND_S = 5.0


def listen_on(host, port):
    family = socket.AF_INET6 if ":" in host or (not host and socket.has_dualstack_ipv6()) else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if host not in ("", "::") else 0)
        made.bind((host or ("::" if family == socket.AF_INET6 else "0.0.0.0"), port))
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


class Gate:
    def __init__(self, folder, control, hosts):
        self.folder = folder
        self.hosts = hosts
        self.loop = selectors.DefaultSelector()
        self.listeners = {}  # port: sockets
        self.failed = {}
        self.waiting = []  # (connection, port, give up at)
        self.open_control(control)
        self.look()

    def open_control(self, path):
        fresh = path + ".new"
        try:
            os.unlink(fresh)
        except FileNotFoundError:
            pass
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        made.bind(fresh)
        os.umask(before)
        made.listen(16)
        made.setblocking(False)
        os.rename(fresh, path)
        self.loop.register(made, selectors.EVENT_READ, self.obey)

    def look(self):
        """Listen on what stands in the folder, and on nothing else."""
        wanted = {int(name) for name in os.listdir(self.folder) if name.isdigit()}
        for port in set(self.listeners) - wanted:
            for each in self.listeners.pop(port):
                self.loop.unregister(each)
                each.close()
        self.failed = {}
        for port in wanted - set(self.listeners):
            made = []
            try:
                for host in self.hosts:
                    made.append(listen_on(host, port))
            except OSError as error:
                self.failed[port] = os.strerror(error.errno)
                for each in made:
                    each.close()
                continue
            self.listeners[port] = made
            for each in made:
                self.loop.register(each, selectors.EVENT_READ, self.accept_of(port))

    def accept_of(self, port):
        def accept(listener):
            for _ in range(64):
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                self.hand_over(connection, port, time.monotonic() + WAIT_S)

        return accept

    def hand_over(self, connection, port, give_up_at):
        """Send the connection to the app's instances; wait a while when nobody is there."""
        way = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            way.setblocking(False)
            way.connect(os.path.join(self.folder, str(port)))
            socket.send_fds(way, [b"\1"], [connection.fileno()])
        except OSError:
            if time.monotonic() < give_up_at and len(self.waiting) < MOST_WAITING:
                self.waiting.append((connection, port, give_up_at))
                return
        finally:
            way.close()
        connection.close()

    def obey(self, control):
        try:
            asking, _ = control.accept()
        except OSError:
            return
        self.look()
        try:
            asking.settimeout(SEND_S)
            told = {
                "listening": sorted(self.listeners),
                "failed": {str(port): why for port, why in self.failed.items()},
            }
            asking.sendall(json.dumps(told).encode() + b"\n")
        except OSError:
            pass
        finally:
            asking.close()

    def run(self):
        while True:
            for key, _ in self.loop.select(RETRY_S if self.waiting else None):
                key.data(key.fileobj)
            again, self.waiting = self.waiting, []
            for connection, port, give_up_at in again:
                self.hand_over(connection, port, give_up_at)


if __name__ == "__main__":
    Gate(sys.argv[1], sys.argv[2], sys.argv[3:]).run()
