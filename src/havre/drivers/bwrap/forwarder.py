"""The forwarder of one unit: relays connections into the unit's network namespace.

Part of the monitor, which has joined the namespace (standard library only, and little of it: see the monitor). It
accepts on the app's listening socket while it is told to, connects to the app's port on 127.0.0.1, and relays bytes
both ways; a half-close is passed on. It also gives the unit a way out: 127.0.0.1:3128 inside leads to the proxy's unix
socket outside. Everything it holds is bounded: connections, bytes on their way, and how fast the way out is asked for.

The edge keeps connections, so an open one is not a request (docs/decisions/0023). A request begins with bytes inwards
after bytes outwards and is answered by the first bytes outwards after that. `open` is what a drain waits for: when the
edge has closed its idle connections nothing is left. Two things are told apart at the app's end, for the edge sends a
request again when a kept connection ends before the answer begins: an app that had left before the request came has
not seen it; one that took the request and left has, and a byte of an answer keeps the edge from asking the next.
"""

from __future__ import annotations

import _socket as socket
import os
import time
from select import EPOLLHUP, EPOLLIN, EPOLLOUT
from sys import byteorder

PIECE, SMALL_PIECE = 65536, 4096
PENDING_BYTES = 8 * 1024**2  # on their way in all, from which on pieces are small
DIAL_TRIES_S = 10.0
HANDED_S = 0.1  # the descriptor is sent right after the connection is made
TO_HANDED_PORT, TO_PORT = b"\1", b"\2"  # what is said with a descriptor; the gate of TCP redirections says the first
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.002, 0.05  # between two looks for somebody who listens
PAUSE_SHARE = 0.25  # of what the first has waited so far
PROXY_PORT = 3128
MOST_PROXIED = 128
PROXIED_PER_S = 50.0
MOST_OPEN = 4096
SWEEP_S = 0.5
YIELD_S, LONGEST_YIELD_S = 0.0003, 0.003  # for each request in flight an instance lets its peers go first
OPEN_SHARE = 0.25  # as much as of a request in flight for each connection that is kept
LONG_S = 2.0  # longer than the edge keeps an idle connection: what comes later belongs to an answer that goes on
REPEATED = (b"GET ", b"HEAD ", b"OPTIONS ")
TAKEN = b"H"  # of HTTP/1.1: the edge does not send a request again whose answer has begun
UPGRADED = b"HTTP/1.1 101"
SHARED_AFTER = 50  # requests, after which a kept connection gives way to one that its peers may have
EINPROGRESS = 115
NEVER = float("inf")  # of its own accord: an end wakes it
ERRORS = (BlockingIOError, InterruptedError)


class Pair:
    """Two sockets and what is on its way between them: `ends[0]` is outside, `ends[1]` in the unit."""

    __slots__ = (
        "asked", "asked_at", "busy", "closed", "counted", "ended", "ends", "held", "lasts", "pending", "requests",
        "shut", "turn", "watched", "whole",
    )  # fmt: skip

    def __init__(self, left, right, counted, whole, turn):
        self.ends = (left, right)
        self.pending = [b"", b""]  # to write to ends[n]
        self.ended = [False, False]  # ends[n] sends no more
        self.shut = [False, False]  # ends[n] was told so
        self.watched = [None, None]
        self.counted = counted
        self.whole = whole  # one request as long as it is open: no HTTP, or HTTP no more
        self.requests, self.asked, self.asked_at = 1, True, time.monotonic()
        self.held = b""  # the beginning of a request that will be declined
        self.turn = turn  # of the forwarder when it began
        self.lasts = False  # its answer goes on
        self.busy = True
        self.closed = False


class Dial:
    """A connection that is being made into the unit."""

    __slots__ = ("app", "counted", "give_up_at", "left", "port", "whole")

    def __init__(self, left, port, counted, give_up_at, whole=False):
        self.left, self.port, self.counted, self.give_up_at, self.whole = left, port, counted, give_up_at, whole
        self.app = None


class Forwarder:
    """`loop` watches descriptors, `page` shows what is counted; both are the monitor's."""

    def __init__(self, loop, page, *, listener, port, proxy, most_open, handed=(None, 0, None), own=None):
        self.loop, self.page = loop, page
        self.listener, self.port, self.proxy = listener, port, proxy
        self.handed, self.handed_port, self.handed_path = handed
        self.own, self.is_own_open = own, False
        self.watched = set()  # of the two
        self.most_open = min(MOST_OPEN, most_open)
        self.accepting = self.watching = self.ending = False
        self.peers = 0
        self.turn = 0  # goes up when others accept beside us, or no more: what is kept is shared out afresh
        self.gave_way = False  # of our own accord: the next connection is for a peer
        self.resume_at = None
        self.open = self.in_flight = self.accepted = self.answered = self.refused = 0
        self.pending = 0
        self.connecting, self.sweep_at = set(), None  # the app's backlog is full
        self.waiting, self.retry_at = [], None  # nobody listens yet: the first tries again, the others follow it
        self.inside = None
        self.inside_resume_at = None
        self.proxied = 0
        self.tokens, self.tokens_at = PROXIED_PER_S, time.monotonic()

    @property
    def is_done(self):
        return self.ending and self.open == 0 and not self.connecting and not self.waiting

    @property
    def is_out(self):
        """Whether it has all the connections through the proxy that it may have."""
        return self.proxied >= MOST_PROXIED

    # what it is told

    def accept(self, peers):
        """Accept from now on; `peers`: how many other instances do."""
        self.turn += peers != self.peers
        self.peers = peers
        self.accepting = self.is_own_open = self.listener is not None and not self.ending
        self.watch_listener()
        self.watch_doors()
        self.show()

    def quiesce(self):
        self.accepting = False
        self.watch_listener()
        self.watch_doors()
        self.show()

    def end(self):
        """The app is gone: nothing new, what is open is relayed to its end. Whoever came and was not heard yet is for
        the one that comes after it, unless it was told before to take nobody."""
        hands_on, self.ending = self.accepting, True
        self.quiesce()
        for each in [*self.connecting, *self.waiting]:
            self.give_up(each, hands_on=hands_on)
        self.waiting = []

    def dial(self, connection, port):
        """Join `connection` to `port` in the unit; closed at once when nobody listens."""
        self.start_dial(Dial(connection, port, False, 0.0))

    def next_at(self):
        """When there is something to do although no descriptor is ready; None: never."""
        times = (self.retry_at, self.sweep_at, self.resume_at, self.inside_resume_at)
        return min((each for each in times if each is not None and each != NEVER), default=None)

    def tick(self, now):
        if self.sweep_at is not None and self.sweep_at <= now:
            self.sweep(now)
        if self.retry_at is not None and self.retry_at <= now:
            self.retry(now)
        if self.resume_at is not None and self.resume_at <= now:
            self.resume_at = None
            self.take_waiting()
            self.watch_listener()
        if self.inside_resume_at is not None and self.inside_resume_at <= now:
            self.inside_resume_at = None
            self.loop.watch(self.inside.fileno(), EPOLLIN, self.accept_proxied)

    def show(self):
        self.page(self.accepting, self.in_flight, self.accepted, self.answered, self.refused, self.peers, self.open)

    # from the app's socket

    def watch_listener(self):
        wanted = self.accepting and self.open < self.most_open and self.resume_at is None
        if wanted and not self.watching:
            self.loop.watch(self.listener.fileno(), EPOLLIN, self.admit)
        elif not wanted and self.watching:
            self.loop.drop(self.listener.fileno())
        self.watching = wanted

    def admit(self, _events):
        """Somebody waits. Among several instances the ones with less to do take it first."""
        if self.peers and (self.open or self.gave_way):
            load = self.in_flight + OPEN_SHARE * (self.open - self.in_flight)
            pause_s = LONGEST_YIELD_S if self.gave_way else min(LONGEST_YIELD_S, YIELD_S * load)
            self.resume_at, self.gave_way = time.monotonic() + pause_s, False
            self.watch_listener()
            return
        self.take_waiting()
        self.watch_listener()

    def take_waiting(self):
        most = 1 if self.peers else 16
        for _ in range(most):
            if not self.accepting or self.open >= self.most_open:
                break
            try:
                fd, _ = self.listener._accept()
            except OSError:
                break
            self.count(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fd), self.port)
        self.show()

    # from the socket of this unit alone, and handed over as descriptors

    def watch_doors(self):
        """Whoever is on the way to our own socket is taken as long as we live; nobody else can take them."""
        has_room = self.open < self.most_open
        for door, wanted, call in (
            (self.own, self.is_own_open and not self.ending and has_room, self.admit_own),
            (self.handed, self.accepting and has_room, self.admit_handed),
        ):
            if door is None or wanted == (door in self.watched):
                continue
            if wanted:
                self.loop.watch(door.fileno(), EPOLLIN, call)
                self.watched.add(door)
            else:
                self.loop.drop(door.fileno())
                self.watched.discard(door)

    def admit_own(self, _events):
        for _ in range(16):
            if self.open >= self.most_open:
                break
            try:
                fd, _ = self.own._accept()
            except OSError:
                break
            self.count(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fd), self.port)
        self.watch_doors()
        self.show()

    def admit_handed(self, _events):
        try:
            fd, _ = self.handed._accept()
        except OSError:
            return
        way = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fd)
        way.settimeout(HANDED_S)
        try:
            said, rights, _, _ = way.recvmsg(1, socket.CMSG_SPACE(4))
        except OSError:
            said, rights = b"", []
        way.close()
        for level, kind, content in rights:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS and len(content) >= 4:
                fd = int.from_bytes(content[:4], byteorder)
                if said == TO_PORT:
                    self.count(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fd), self.port)
                else:
                    self.count(socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fd), self.handed_port, whole=True)
        self.watch_doors()
        self.show()

    def count(self, connection, port, whole=False):
        self.open += 1
        self.in_flight += 1
        self.accepted += 1
        self.start_dial(Dial(connection, port, True, time.monotonic() + DIAL_TRIES_S, whole))

    # into the unit

    def start_dial(self, dial):
        dial.left.setblocking(False)
        try:
            dial.app = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            dial.app.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * PIECE)
            number = dial.app.connect_ex(("127.0.0.1", dial.port))
        except OSError:
            self.give_up(dial)
            return
        if number == 0:
            self.joined(dial)
        elif number == EINPROGRESS:
            self.connecting.add(dial)
            self.loop.watch(dial.app.fileno(), EPOLLOUT, lambda _events: self.dialled(dial))
            self.sweep_at = self.sweep_at or time.monotonic() + SWEEP_S
        else:
            self.again(dial)

    def dialled(self, dial):
        self.connecting.discard(dial)
        self.loop.drop(dial.app.fileno())
        if dial.app.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            self.joined(dial)
        else:
            self.again(dial)

    def again(self, dial):
        dial.app.close()
        dial.app = None
        now = time.monotonic()
        if now >= dial.give_up_at:
            self.give_up(dial)
            return
        self.waiting.append(dial)
        self.retry_at = self.retry_at or now + pause_s(dial, now)

    def retry(self, now):
        self.retry_at = None
        self.waiting.sort(key=lambda each: each.give_up_at)
        while self.waiting and self.waiting[0].give_up_at <= now:
            self.give_up(self.waiting.pop(0))
        if self.waiting:
            self.start_dial(self.waiting.pop(0))
            if self.waiting:
                self.retry_at = self.retry_at or now + pause_s(self.waiting[0], now)

    def sweep(self, now):
        self.sweep_at = now + SWEEP_S if self.connecting else None
        for each in [each for each in self.connecting if each.give_up_at <= now]:
            self.give_up(each)

    def give_up(self, dial, *, hands_on=False):
        self.connecting.discard(dial)
        if dial.app is not None:
            self.loop.drop(dial.app.fileno())
            dial.app.close()
        is_handed_on = hands_on and dial.counted and self.hand_on(dial)
        dial.left.close()
        if dial.counted:
            self.refused += not is_handed_on
            self.uncount(busy=True)

    def hand_on(self, dial):
        """Give a connection of which nothing was read to whoever of the app accepts, or will; whether that is done."""
        if self.handed_path is None:
            return False
        way = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        rights = dial.left.fileno().to_bytes(4, byteorder)
        try:
            way.connect(os.fsencode(self.handed_path))
            said = TO_HANDED_PORT if dial.whole else TO_PORT
            way.sendmsg([said], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except OSError:
            return False
        finally:
            way.close()
        return True

    def joined(self, dial):
        dial.app.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.join(dial.left, dial.app, dial.counted, dial.whole)
        waiting, self.waiting, self.retry_at = self.waiting, [], None
        for each in waiting:  # somebody listens now
            self.start_dial(each)

    def uncount(self, busy):
        self.open -= 1
        self.in_flight -= busy
        if self.accepting and not self.watching:
            self.watch_listener()
        self.watch_doors()
        self.show()

    # between two sockets

    def join(self, left, right, counted, whole=True):
        pair = Pair(left, right, counted, whole, self.turn)
        for me in (0, 1):
            self.set_events(pair, me, EPOLLIN)

    def relay(self, pair, me, events):
        if pair.closed:
            return
        try:
            if events & EPOLLOUT:
                self.flush(pair, me)
            if events & ~EPOLLOUT and not pair.ended[me] and not pair.pending[1 - me]:
                self.read(pair, me)
        except ERRORS:
            pass
        except OSError:
            self.close(pair)
        if pair.closed:
            return
        if pair.counted:
            self.see(pair)
        is_gone = me == 0 and events & EPOLLHUP and pair.ended[0] and not pair.pending[1]
        if is_gone or (pair.shut[0] and pair.shut[1]):
            self.close(pair)  # nobody is left who could read what the app says
        else:
            self.watch(pair)

    def read(self, pair, me):
        data = pair.ends[me].recv(PIECE if self.pending < PENDING_BYTES else SMALL_PIECE)
        if not data:
            pair.ended[me] = True
            if me == 1 and pair.counted and has_taken(pair):
                data = TAKEN
        elif pair.counted and me == 0 and not pair.asked and not pair.whole:
            if has_left(pair.ends[1]) or self.declines(pair, data):
                return
            data, pair.held = pair.held + data, b""
            pair.asked, pair.lasts, pair.asked_at = True, False, time.monotonic()
            pair.requests += 1
            self.accepted += 1
        elif pair.counted and me == 1:
            self.answer(pair, data)
        pair.pending[1 - me] = data
        self.pending += len(data)
        self.flush(pair, 1 - me)

    def declines(self, pair, data):
        """Whether a request on a kept connection is left to the edge, which sends it again on another.

        So it is when we accept nothing any more, and now and then among peers: whoever has least to do takes the next.
        All of it is read first, for a connection that is closed with something unread ends in a reset, and after that
        the edge sends nothing again.
        """
        is_due = pair.requests % SHARED_AFTER == 0 or pair.turn != self.turn
        is_shared = self.accepting and self.peers > 0 and is_due
        if self.accepting and not is_shared:
            return False
        data = pair.held + data
        if is_begun(data):
            pair.held = data
            return True
        if not is_repeated(data):
            return False
        self.gave_way = is_shared  # or whoever has just closed it, awake already, would have it again and again
        self.close(pair)
        return True

    def answer(self, pair, data):
        """The app says something."""
        if pair.asked:
            pair.asked = False
            self.answered += 1
            if pair.requests == 1 and data.startswith(UPGRADED):
                pair.whole = True
            self.show()
        elif not pair.lasts and time.monotonic() - pair.asked_at > LONG_S:
            pair.lasts = True

    def see(self, pair):
        """Is it being answered? Not a connection that is only kept."""
        busy = bool(pair.asked or pair.whole or pair.lasts or pair.pending[0])
        if busy != pair.busy:
            pair.busy = busy
            self.in_flight += 1 if busy else -1
            self.show()

    def flush(self, pair, to):
        waiting = pair.pending[to]
        if waiting:
            sent = pair.ends[to].send(waiting)
            self.pending -= sent
            pair.pending[to] = waiting[sent:]
        if pair.ended[1 - to] and not pair.pending[to] and not pair.shut[to]:
            pair.shut[to] = True
            pair.ends[to].shutdown(socket.SHUT_WR)

    def watch(self, pair):
        for me in (0, 1):
            events = EPOLLOUT if pair.pending[me] else 0
            if not pair.ended[me] and not pair.pending[1 - me]:
                events |= EPOLLIN
            may_leave = me == 0 and pair.ended[0] and not pair.pending[1]  # it is told of by EPOLLHUP alone
            self.set_events(pair, me, events if events or may_leave else None)

    def set_events(self, pair, me, events):
        known, fd = pair.watched[me], pair.ends[me].fileno()
        if events == known:
            return
        if known is None:
            self.loop.watch(fd, events, lambda seen: self.relay(pair, me, seen))
        elif events is None:
            self.loop.drop(fd)
        else:
            self.loop.change(fd, events)
        pair.watched[me] = events

    def close(self, pair):
        if pair.closed:
            return
        pair.closed = True
        for me in (0, 1):
            if pair.watched[me] is not None:
                self.loop.drop(pair.ends[me].fileno())
            self.pending -= len(pair.pending[me])
            pair.ends[me].close()
        if pair.counted is None:
            self.proxied -= 1
            self.watch_inside()
            self.show()
        elif pair.counted:
            self.uncount(pair.busy)

    # the way out

    def offer_proxy(self):
        """Listen inside. Call once the namespace's loopback is up."""
        inside = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        inside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        inside.bind(("127.0.0.1", PROXY_PORT))
        inside.listen(128)
        self.inside = inside
        self.loop.watch(inside.fileno(), EPOLLIN, self.accept_proxied)

    def watch_inside(self):
        if self.inside_resume_at == NEVER and self.proxied < MOST_PROXIED:
            self.inside_resume_at = time.monotonic()

    def rest_inside(self, until):
        self.loop.drop(self.inside.fileno())
        self.inside_resume_at = until

    def accept_proxied(self, _events):
        now = time.monotonic()
        self.tokens = min(PROXIED_PER_S, self.tokens + (now - self.tokens_at) * PROXIED_PER_S)
        self.tokens_at = now
        if self.tokens < 1:
            self.rest_inside(now + 1 / PROXIED_PER_S)
            return
        try:
            fd, _ = self.inside._accept()
        except OSError:
            return
        self.tokens -= 1
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)
        connection.setblocking(False)
        outside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        if outside.connect_ex(os.fsencode(self.proxy)) != 0:
            connection.close()
            outside.close()
            return
        self.proxied += 1
        self.join(connection, outside, None)
        if self.is_out:
            self.rest_inside(NEVER)
            self.show()


def pause_s(dial, now):
    """How long to wait before somebody is looked for again who listens to `dial`."""
    waited = now - (dial.give_up_at - DIAL_TRIES_S)
    return min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, waited * PAUSE_SHARE))


def has_left(app):
    """Whether the app has closed its end already. What comes now it does not see, and nobody thinks that it did."""
    try:
        return not app.recv(1, socket.MSG_PEEK)
    except ERRORS:
        return False


def is_begun(data):
    """Whether this is the beginning of what may turn out to be such a request."""
    return data.startswith(REPEATED) and len(data) < PIECE and b"\r\n\r\n" not in data


def is_repeated(data):
    """Whether this is a whole request that the edge may send again and sends on kept connections alone: see `REPEATED`
    in drivers/caddy/static.py. What Caddy means for one connection says `Connection: close`, or upgrades it."""
    return (
        data.startswith(REPEATED)
        and data.find(b"\r\n\r\n") == len(data) - 4
        and not any(each in data for each in (b"\r\nConnection:", b"\r\nContent-Length:", b"\r\nTransfer-Encoding:"))
    )


def has_taken(pair):
    """Whether the app, which has closed its end, had read a later request to its end and not begun to answer.

    What it leaves unread, or what comes after it has closed, is answered by a reset instead (tcp(7)).
    """
    if not pair.asked or pair.requests < 2 or pair.pending[1]:
        return False
    return pair.ends[1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
