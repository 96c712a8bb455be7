"""The forwarder of one unit: relays connections into the unit's network namespace.

Runs in a child of the monitor that has joined the namespace (standard library only). It accepts on the app's listening
socket while it is told to, connects to the app's port on 127.0.0.1, and relays bytes both ways; a half-close is passed
on. It also gives the unit a way out through a proxy when there is no better one: 127.0.0.1:3128 inside leads to the
proxy's unix socket outside.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import time

PIECE = 65536
HIGH_WATER = 4 * PIECE
DIAL_TRIES_S = 10.0
PROXY_PORT = 3128


class Pair:
    """Two sockets and what is on its way between them."""

    __slots__ = ("closed", "ends", "on_close", "open_reads", "pending", "shut")

    def __init__(self, left, right, on_close):
        self.ends = (left, right)
        self.pending = (bytearray(), bytearray())  # to write to ends[n]
        self.open_reads = [True, True]
        self.shut = [False, False]
        self.closed = False
        self.on_close = on_close


class Forwarder:
    def __init__(self, orders_socket, listener, orders):
        self.loop = selectors.DefaultSelector()
        self.orders_socket = orders_socket
        self.port = orders["port"]
        self.proxy = orders["proxy"]
        self.listener = socket.socket(fileno=os.dup(listener)) if listener is not None else None
        if self.listener is not None:
            self.listener.setblocking(False)
        self.accepting = False
        self.ending = False
        self.in_flight = 0
        self.dialing = []  # (retry at, give up at, connection, port, counted)
        self.loop.register(orders_socket, selectors.EVENT_READ, ("orders", None))

    def run(self):
        if self.proxy:
            self.offer_proxy()
        while True:
            now = time.monotonic()
            timeout = max(0.0, min(each[0] for each in self.dialing) - now) if self.dialing else None
            for key, mask in self.loop.select(timeout):
                what, pair = key.data
                if what == "orders":
                    if not self.obey():
                        return
                elif what == "listener":
                    self.accept()
                elif what == "proxy":
                    self.accept_proxy(key.fileobj)
                elif not pair.closed:
                    self.relay(key.fileobj, pair, mask)
            self.retry()
            if self.ending and self.in_flight == 0 and not self.dialing:
                return

    # orders

    def obey(self):
        try:
            message, fds, _, _ = socket.recv_fds(self.orders_socket, PIECE, 4)
        except OSError:
            return False
        if not message:
            return False
        order = json.loads(message)
        command = order["command"]
        if command == "dial" and fds:
            self.dial(socket.socket(fileno=fds[0]), order["port"], counted=False)
            return True
        if command == "accept" and self.listener is not None and not self.accepting:
            self.loop.register(self.listener, selectors.EVENT_READ, ("listener", None))
            self.accepting = True
        elif command in ("quiesce", "end") and self.accepting:
            self.loop.unregister(self.listener)
            self.accepting = False
        if command == "end":
            self.ending = True
            for _, _, connection, _, _ in self.dialing:
                connection.close()
            self.in_flight -= sum(1 for each in self.dialing if each[4])
            self.dialing = []
            return True
        reply = {"accepting": self.accepting, "in_flight": self.in_flight}
        self.orders_socket.send(json.dumps(reply).encode())
        return True

    # connections

    def accept(self):
        for _ in range(16):
            if not self.accepting:
                return
            try:
                connection, _ = self.listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            self.in_flight += 1
            self.dial(connection, self.port, counted=True)

    def dial(self, connection, port, *, counted):
        connection.setblocking(False)
        now = time.monotonic()
        self.dialing.append((now, now + (DIAL_TRIES_S if counted else 0.0), connection, port, counted))
        self.retry()

    def retry(self):
        now = time.monotonic()
        waiting, self.dialing = self.dialing, []
        for entry in waiting:
            retry_at, give_up_at, connection, port, counted = entry
            if retry_at > now:
                self.dialing.append(entry)
                continue
            app = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                app.settimeout(5)
                app.connect(("127.0.0.1", port))
            except OSError:
                app.close()
                if now < give_up_at:
                    self.dialing.append((now + 0.05, give_up_at, connection, port, counted))
                else:
                    connection.close()
                    self.in_flight -= counted
                continue
            app.setblocking(False)
            app.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.join(connection, app, counted)

    def join(self, left, right, counted):
        pair = Pair(left, right, self.uncount if counted else None)
        for end in pair.ends:
            self.loop.register(end, selectors.EVENT_READ, ("pair", pair))

    def uncount(self):
        self.in_flight -= 1

    def relay(self, end, pair, mask):
        me = 0 if end is pair.ends[0] else 1
        try:
            if mask & selectors.EVENT_WRITE:
                self.flush(pair, me)
            if mask & selectors.EVENT_READ and pair.open_reads[me]:
                data = end.recv(PIECE)
                if data:
                    pair.pending[1 - me].extend(data)
                else:
                    pair.open_reads[me] = False
                self.flush(pair, 1 - me)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close(pair)
            return
        self.watch(pair)

    def flush(self, pair, to):
        waiting = pair.pending[to]
        while waiting:
            try:
                sent = pair.ends[to].send(waiting)
            except BlockingIOError:
                return
            del waiting[:sent]
        if not pair.open_reads[1 - to] and not pair.shut[to]:
            pair.shut[to] = True
            pair.ends[to].shutdown(socket.SHUT_WR)

    def watch(self, pair):
        if pair.shut[0] and pair.shut[1]:
            self.close(pair)
            return
        for me in (0, 1):
            events = 0
            if pair.open_reads[me] and len(pair.pending[1 - me]) < HIGH_WATER:
                events |= selectors.EVENT_READ
            if pair.pending[me]:
                events |= selectors.EVENT_WRITE
            self.set_events(pair, me, events)

    def set_events(self, pair, me, events):
        end = pair.ends[me]
        known = self.loop.get_map().get(end.fileno())
        if events and known is None:
            self.loop.register(end, events, ("pair", pair))
        elif events and known.events != events:
            self.loop.modify(end, events, ("pair", pair))
        elif not events and known is not None:
            self.loop.unregister(end)

    def close(self, pair):
        if pair.closed:
            return
        pair.closed = True
        for end in pair.ends:
            if end.fileno() in self.loop.get_map():
                self.loop.unregister(end)
            end.close()
        if pair.on_close:
            pair.on_close()

    # the way out

    def offer_proxy(self):
        inside = socket.create_server(("127.0.0.1", PROXY_PORT), backlog=128)
        inside.setblocking(False)
        self.loop.register(inside, selectors.EVENT_READ, ("proxy", None))

    def accept_proxy(self, inside):
        try:
            connection, _ = inside.accept()
        except OSError:
            return
        outside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            outside.connect(self.proxy)
        except OSError:
            connection.close()
            outside.close()
            return
        connection.setblocking(False)
        outside.setblocking(False)
        self.join(connection, outside, False)


def run(orders_socket, listener, orders):
    Forwarder(orders_socket, listener, orders).run()
