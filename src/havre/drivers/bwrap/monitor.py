"""The monitor of one unit: starts its sandbox, forwards its connections, keeps its output, records its end.

A program of its own, so that units live on when the control plane does not. It says its pid on stdin, a socket, waits
there for its orders and the descriptors that they name, answers one line, and then listens on its control socket.
Invariants: the end of the unit is on the disk before the monitor is gone; with the monitor dies everything of the unit.

There is one for each instance, so what it imports is memory times hundreds: the C parts of the standard library
(`_socket`, `_signal`) without their Python faces, no json, no selectors (docs/decisions: one lean monitor). With
nothing to do it sleeps; its numbers stand in a page that is read without waking it.
"""

from __future__ import annotations

import _signal
import _socket
import marshal
import mmap
import os
import resource
import select
import sys
import time

import control
import door
import forwarder
import groups
import launch
import network
import output
import page
import processes

EPOLLIN = select.EPOLLIN
SIGKILL, SIGTERM = 9, 15
LINGER_S = 30.0
DESCRIPTORS = ("listen_fd", "handed_fd", "netns_fd")
MOST_GIVEN = 8


def write(path, text, *, durably=False):
    fresh = path + ".new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, text.encode())
        if durably:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(fresh, path)


def write_durably(path, text):
    write(path, text, durably=True)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


class Loop:
    """Calls back when a descriptor is ready. Knows nothing of time."""

    def __init__(self):
        self.epoll = select.epoll()
        self.calls = {}

    def watch(self, fd, events, call):
        self.epoll.register(fd, events)
        self.calls[fd] = call

    def change(self, fd, events):
        self.epoll.modify(fd, events)

    def drop(self, fd):
        if self.calls.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def wait(self, timeout):
        try:
            ready = self.epoll.poll(timeout)
        except InterruptedError:
            return
        for fd, events in ready:
            call = self.calls.get(fd)
            if call is not None:
                call(events)


class Monitor:
    def __init__(self, orders):
        self.orders, self.folder = orders, orders["folder"]
        self.loop = Loop()
        self.child = self.sandbox = self.exit = None
        self.status = b""
        self.tell_at = self.kill_at = self.ended_at = None
        self.deadline = orders["deadline_s"] and time.monotonic() + orders["deadline_s"]
        self.late, self.broken = False, ""
        self.counts, self.heard = (False, 0, 0, 0, 0, 0, 0), (0, 0)
        self.quota = self.door = self.forwarder = self.control = None
        self.outputs = []

    def start(self):
        orders = self.orders
        raise_files()
        for fd in (orders["listen_fd"], orders["handed_fd"], orders["netns_fd"]):
            if fd is not None:
                os.set_inheritable(fd, False)
        groups.make(orders)
        # while we are outside: /proc/net/unix shows a namespace where its sockets are
        self.control = control.Control(self)
        if orders["door"]:
            self.door = door.Door(orders["door"], os.path.basename(self.folder)[:8])
        pasta = network.fork_pasta(orders["pasta"]) if orders["pasta"] else None
        network.enter_namespaces(orders["netns_fd"], orders["uid"] is not None)
        if pasta is not None:
            os.close(pasta)
            network.wait_for_route()
        status, writing = os.pipe()
        blocked, self.unblock = os.pipe()
        pipes = [os.pipe() for _ in orders["logs"]]
        speaking = [each[1] for each in pipes]
        orders["monitor"] = os.getpid()
        self.sandbox = groups.fork(orders)
        if self.sandbox == 0:
            self.launch(writing, blocked, speaking)
        self.open_page()
        self.open_forwarder()  # in time: what is inside waits for us before it becomes the app
        for fd in (writing, blocked, *speaking):
            os.close(fd)
        for (reading, _), path in zip(pipes, orders["logs"], strict=True):
            os.set_blocking(reading, False)
            self.outputs.append(output.Output(self.loop, self.hear, reading=reading, path=path))
        self.loop.watch(status, EPOLLIN, lambda _events: self.read_status(status))
        self.loop.watch(os.pidfd_open(self.sandbox), EPOLLIN, lambda _events: self.reap())
        self.listen_for_term()
        if orders["quota"] is not None:
            import quota

            self.quota = quota.Quota(orders["quota"])
        pid, began = os.getpid(), processes.start_time(os.getpid())
        handle = f'{{"pid": {pid}, "start_time": {began}, "boot_id": "{orders["boot_id"]}"}}'
        write(f"{self.folder}/handle.json", handle)  # of this boot alone: after another it tells nothing

    def launch(self, status_fd, block_fd, output_fds):
        """In the child."""
        try:
            os.setsid()
            launch.become_sandbox(self.orders, status_fd, block_fd, list(output_fds))
        except BaseException as error:
            os.write(output_fds[0], f"havre: the sandbox could not be started: {error}\n".encode())
        finally:
            os._exit(125)

    def open_page(self):
        fd = os.open(self.orders["page"], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.truncate(fd, page.SIZE)
        self.page = mmap.mmap(fd, page.SIZE)
        os.close(fd)
        self.show()

    def show(self):
        accepting, in_flight, accepted, answered, refused, peers, connections = self.counts
        flags = page.LIVE | (page.ACCEPTING if accepting else 0) | (page.EXITED if self.exit is not None else 0)
        if self.forwarder is not None and connections >= self.forwarder.most_open:
            flags |= page.BESET
        if self.forwarder is not None and self.forwarder.is_out:
            flags |= page.OUT
        page.LAYOUT.pack_into(
            self.page, 0, flags, in_flight, accepted, answered, refused, peers, *self.heard, connections
        )

    def count(self, *counts):
        self.counts = counts
        self.show()

    def hear(self):
        self.heard = sum(each.lost for each in self.outputs), sum(each.slowed for each in self.outputs)
        self.show()

    def open_forwarder(self):
        listener, handed = shared(self.orders["listen_fd"]), shared(self.orders["handed_fd"])
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.forwarder = forwarder.Forwarder(
            self.loop,
            self.count,
            listener=listener,
            port=self.orders["port"],
            proxy=self.orders["proxy"],
            most_open=max(16, (files - 600) // 2),
            handed=(handed, self.orders["handed_port"], self.orders["handed_path"]),
            own=self.door.socket if self.door is not None else None,
        )
        if self.orders["proxy"]:
            self.forwarder.offer_proxy()

    def listen_for_term(self):
        wake, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _signal.set_wakeup_fd(writing)
        _signal.signal(SIGTERM, lambda *_: None)

        def asked(_events):
            os.read(wake, 512)
            self.stop(10.0)

        self.loop.watch(wake, EPOLLIN, asked)

    # what happens

    def read_status(self, fd):
        part = os.read(fd, 4096)
        if not part:
            self.loop.drop(fd)
            os.close(fd)
            return
        self.status += part
        at = self.status.find(b'"child-pid":')
        if self.child is None and at >= 0 and (end := self.status.find(b",", at)) > 0:
            self.child = int(self.status[at + 12 : end])
            self.unblock_child()

    def unblock_child(self):
        """The namespaces are there: the last limit, counted inside of them alone, and off it goes."""
        if self.orders["most_processes"] is not None:
            most = self.orders["most_processes"]
            try:
                resource.prlimit(self.child, resource.RLIMIT_NPROC, (most, most))
            except (OSError, ValueError) as error:
                print(f"process limit: {error}", file=sys.stderr)
        os.write(self.unblock, b"1")
        os.close(self.unblock)

    def reap(self):
        """The sandbox has ended. (Pasta, should it end, stays a zombie until we do.)"""
        pid, status = os.waitpid(self.sandbox, os.WNOHANG)
        if pid == self.sandbox and self.exit is None:
            self.ended(status)

    def ended(self, status):
        code = os.waitstatus_to_exitcode(status)
        number = -code if code < 0 else code - 128 if 128 < code < 193 else None
        for pid in groups.processes_of(self.orders):
            processes.kill(pid, SIGKILL)
        for each in self.outputs:
            each.drain()
        if self.quota is not None and not self.broken:
            self.broken = self.quota.exactly() or ""
        oom = groups.oom_kills(self.orders) > 0 and code != 0
        facts = {"code": "null" if code < 0 else code, "signal": "null" if number is None else number}
        facts |= {"oom": str(oom).lower(), "deadline": str(self.late).lower(), "quota": control.quoted(self.broken)}
        facts["at"] = time.time_ns() // 1_000_000
        self.exit = "{" + ", ".join(f'"{name}": {value}' for name, value in facts.items()) + "}"
        write_durably(f"{self.folder}/exit.json", self.exit)
        self.ended_at = time.monotonic()
        if self.door is not None:
            self.door.shut()
        self.forwarder.end()
        self.show()
        self.control.tell_end()

    # its end

    def stop(self, grace_s):
        """SIGTERM to the app now, SIGKILL to all of it after `grace_s`.

        Two kinds of processes are told later, when half of the time has passed. A program's own workers: it ends them
        itself, and told behind its back they would die under its hands. A shell that does not listen: it would be
        gone at once, and with it what it waits for, which has just been told.
        """
        if self.exit is not None or (self.kill_at is not None and grace_s > 0):
            return
        now = time.monotonic()
        self.kill_at = now + grace_s
        if self.child is None:
            self.kill_at = now
        elif grace_s > 0:
            self.tell_at = now + grace_s / 2
            processes.tell(self.child, all_of_it=False)

    def kill(self):
        for pid in (self.child, self.sandbox):
            if pid is not None:
                processes.kill(pid, SIGKILL)

    # time

    def tick(self, now):
        self.forwarder.tick(now)
        for each in self.outputs:
            each.tick(now)
        if self.exit is not None:
            return
        if self.deadline and now >= self.deadline:
            self.late, self.deadline = True, None
            self.kill()
        if self.quota is not None and not self.broken and now >= self.quota.next_at():
            self.broken = self.quota.broken(now) or ""
            if self.broken:
                self.kill()
        if self.tell_at is not None and now >= self.tell_at:
            self.tell_at = None
            processes.tell(self.child, all_of_it=True)
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = now + 1
            self.kill()

    def timeout(self, now):
        times = [self.forwarder.next_at(), *(each.next_at() for each in self.outputs)]
        if self.exit is None:
            times += [self.deadline or None, self.tell_at, self.kill_at, self.quota.next_at() if self.quota else None]
        else:
            times.append(self.ended_at + LINGER_S)
        soonest = min((each for each in times if each is not None), default=None)
        return None if soonest is None else max(0.0, soonest - now)

    def run(self):
        """Until the unit has ended and what was open has been relayed."""
        while self.exit is None or not (self.forwarder.is_done or time.monotonic() > self.ended_at + LINGER_S):
            self.loop.wait(self.timeout(time.monotonic()))
            self.tick(time.monotonic())

    def leave(self):
        groups.leave(self.orders)
        if self.door is not None:
            self.door.leave()
        for path in (self.orders["control"], self.orders["page"]):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass


def shared(fd):
    """The listening socket of that descriptor; None for none."""
    if fd is None:
        return None
    found = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
    found.setblocking(False)
    return found


def raise_files():
    """As many open files as the host lets us have: connections are what we hold."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def receive_orders():
    """Wait on stdin for one unit's orders, with the descriptors that belong to them; None when nobody gives any.

    Two lengths of 8 bytes and the descriptors, then the descriptors' names, then the orders (see spares.py).
    """
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, os.dup(0))
    head, given, _, _ = channel.recvmsg(16, _socket.CMSG_SPACE(4 * MOST_GIVEN), _socket.MSG_WAITALL)
    if len(head) < 16:
        return None
    rest = int.from_bytes(head[:8], "big"), int.from_bytes(head[8:], "big")
    said = b""
    while len(said) < sum(rest):
        part = channel.recv(sum(rest) - len(said))
        if not part:
            return None
        said += part
    channel.close()
    orders = marshal.loads(said[rest[0] :]) | dict.fromkeys(DESCRIPTORS)
    numbers = [
        int.from_bytes(data[at : at + 4], sys.byteorder)
        for _, _, data in given
        for at in range(0, len(data) // 4 * 4, 4)
    ]
    names = [each for each in said[: rest[0]].decode().split(",") if each]
    orders.update(zip(names, numbers, strict=True))
    return orders


def main():
    os.write(1, b"%d\n" % os.getpid())
    orders = receive_orders()
    if orders is None:
        return
    errors = os.open(f"{orders['folder']}/monitor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(errors, 2)
    os.close(errors)
    monitor = Monitor(orders)
    try:
        monitor.start()
    except BaseException as error:
        monitor.kill()
        os.write(1, f'{{"error": {control.quoted(repr(error))}}}\n'.encode())
        raise
    os.write(1, b'{"started": true}\n')
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    monitor.run()
    monitor.leave()
