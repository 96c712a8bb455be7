"""Keeps a few programs alive, and holds the sockets that they listen on.

A program of its own (standard library only, `python -I -S keeper.py FOLDER`), so that what it keeps comes back at once
while the control plane is down. It reads `FOLDER/keeper.json`, again on SIGHUP, starts each program with its listening
sockets as descriptors 3, 4, …, and starts it again when it has ended: who connects in between waits in the socket's
backlog and is not refused. Killed itself, it leaves the programs running; its successor adopts them, sockets included.

Invariants: one keeper for a folder (a lock); a program's record is on the disk before the program runs, written by the
very process that becomes it; a program is taken for ours by pid, start time and boot, never by a bare pid.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import selectors
import signal
import socket
import sys
import time

FIRST_FD = 3
BACKLOG = 4096
LIVED_S = 10.0  # who lived so long is started again without a pause
PAUSE_FIRST_S, PAUSE_MOST_S = 0.05, 5.0
GRACE_S = 5.0
PIDFD_GETFD = 438


def identity(pid):
    """[pid, start time, boot id]; None when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    with open("/proc/sys/kernel/random/boot_id") as file:
        return [pid, int(fields[19]), file.read().strip()]


def write_durably(path, content):
    fresh = f"{path}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, json.dumps(content).encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(fresh, path)


def read(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def queue(nice, is_batch):
    """Take this place in the queue for the processor (setpriority(2)); where the kernel queues by session, this session
    too (sched(7), "The autogroup feature"). Who may not goes on where it is."""
    if is_batch:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if not nice:
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        with open("/proc/self/autogroup", "w") as group:
            group.write(str(nice))
    except OSError:
        pass


def open_door(door):
    """A bound socket; an empty host is every address, of both families where the machine has both."""
    kind = socket.SOCK_STREAM if door["kind"] == "tcp" else socket.SOCK_DGRAM
    host = door["host"]
    family = socket.AF_INET6 if ":" in host or (not host and socket.has_dualstack_ipv6()) else socket.AF_INET
    made = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if host not in ("", "::") else 0)
        made.bind((host or ("::" if family == socket.AF_INET6 else "0.0.0.0"), door["port"]))
        if kind == socket.SOCK_STREAM:
            made.listen(BACKLOG)
    except OSError as error:
        made.close()
        shown = f"[{host}]" if ":" in host else host
        text = f"listen {door['kind']} {shown}:{door['port']}: {os.strerror(error.errno).lower()}"
        raise OSError(error.errno, text) from error
    return made


class Program:
    def __init__(self, told, folder):
        self.name = told["name"]
        self.told = told
        self.record = os.path.join(folder, f"{self.name}.json")
        self.doors = None
        self.pidfd = None
        self.pid = None
        self.started_at = 0.0
        self.start_at = None
        self.failures = 0

    def adopt(self):
        """Take over the process of the record, if it lives. Its sockets are taken back too, where we may."""
        known = read(self.record)
        if known is None or known["digest"] != self.told["digest"]:
            return False
        pid = known["identity"][0]
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return False
        if identity(pid) != known["identity"]:
            os.close(pidfd)
            return False
        self.pid, self.pidfd, self.started_at = pid, pidfd, time.monotonic()
        self.doors = self.doors or self.fetch_doors()
        return True

    def fetch_doors(self):
        import ctypes  # in a keeper that adopts alone

        libc, found = ctypes.CDLL(None, use_errno=True), []
        for number, door in enumerate(self.told["doors"]):
            fd = libc.syscall(PIDFD_GETFD, self.pidfd, FIRST_FD + number, 0)
            if fd < 0:
                return None
            try:
                each = socket.socket(fileno=fd)
                found.append(each)
                if each.getsockname()[1] != door["port"]:
                    return None
            except OSError:
                return None
        return found

    def start(self):
        try:
            if self.doors is None:
                self.doors = [open_door(door) for door in self.told["doors"]]
        except OSError as error:
            self.say(error.strerror or str(error))
            self.failed()
            return
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.become()
            except BaseException as error:
                self.say(f"{self.name} could not be started: {error}")
            finally:
                os._exit(127)
        self.pidfd = os.pidfd_open(self.pid)
        self.started_at = time.monotonic()
        self.start_at = None

    def become(self):
        os.setsid()
        queue(self.told.get("nice", 0), self.told.get("is_batch", False))
        known = read(self.record) or {}
        content = {"identity": identity(os.getpid()), "digest": self.told["digest"]}
        write_durably(self.record, content | {"starts": known.get("starts", 0) + 1})
        output = os.open(self.told["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open("/dev/null", os.O_RDONLY)
        high = [fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, 200) for each in self.doors]
        for number, fd in enumerate([nothing, output, output, *high]):
            os.dup2(fd, number, inheritable=True)
        os.closerange(FIRST_FD + len(high), 1024)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(self.told["cwd"])
        os.execve(self.told["argv"][0], self.told["argv"], self.told["env"])

    def ended(self):
        os.close(self.pidfd)
        self.pidfd = None
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # adopted: somebody else's child
        if time.monotonic() - self.started_at >= LIVED_S:
            self.failures = 0
            self.start_at = time.monotonic()
        else:
            self.failed()

    def end(self):
        """SIGTERM, patience, SIGKILL; its sockets are closed. Returns when it is gone."""
        if self.pidfd is not None:
            for number, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
                try:
                    signal.pidfd_send_signal(self.pidfd, number)
                except ProcessLookupError:
                    break
                watch = select.poll()
                watch.register(self.pidfd, select.POLLIN)
                if watch.poll(patience_s * 1000):
                    break
            self.ended()
        for each in self.doors or ():
            each.close()

    def failed(self):
        pause = 0 if self.failures == 0 else min(PAUSE_MOST_S, PAUSE_FIRST_S * 2**self.failures)
        self.failures = min(self.failures + 1, 10)
        self.start_at = time.monotonic() + pause

    def say(self, text):
        fd = os.open(self.told["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(fd, f"keeper: {text}\n".encode())
        os.close(fd)


class Keeper:
    def __init__(self, folder):
        self.folder = folder
        self.programs = {}
        self.loop = selectors.DefaultSelector()
        self.wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGHUP, lambda *_: None)
        self.loop.register(self.wake, selectors.EVENT_READ)

    def obey(self):
        """Keep exactly what the file says; what is told otherwise than before is ended, what is equal is untouched."""
        told = read(os.path.join(self.folder, "keeper.json"))
        wanted = {each["name"]: each for each in told["programs"]}
        for name, program in list(self.programs.items()):
            if wanted.get(name, {}).get("digest") != program.told["digest"]:
                self.leave(program)
                program.end()
                del self.programs[name]
        for name, each in wanted.items():
            if name not in self.programs:
                self.programs[name] = Program(each, self.folder)
                if not self.programs[name].adopt():
                    self.programs[name].start()
        mine = {"identity": identity(os.getpid()), "digest": told["digest"]}
        write_durably(os.path.join(self.folder, "keeper.pid"), mine)

    def leave(self, program):
        if program.pidfd is not None and program.pidfd in self.loop.get_map():
            self.loop.unregister(program.pidfd)

    def run(self):
        self.obey()
        while True:
            now = time.monotonic()
            for program in self.programs.values():
                if program.pidfd is None and program.start_at is not None and now >= program.start_at:
                    program.start_at = None
                    if not program.adopt():
                        program.start()
                if program.pidfd is not None and program.pidfd not in self.loop.get_map():
                    self.loop.register(program.pidfd, selectors.EVENT_READ, program)
            waits = [each.start_at - now for each in self.programs.values() if each.start_at is not None]
            for key, _ in self.loop.select(max(0.0, min(waits)) if waits else None):
                if key.data is None:
                    os.read(self.wake, 512)
                    self.obey()
                    break  # what else was ready may be gone
                self.loop.unregister(key.fileobj)
                key.data.ended()


def main():
    folder = sys.argv[1]
    lock = os.open(os.path.join(folder, "keeper.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("another keeper is at work")
    Keeper(folder).run()


if __name__ == "__main__":
    main()
