"""Starts one command inside a running unit, as confined as the unit itself.

A program of its own (standard library only, `python -I -S enter.py FD`), whose orders are a JSON object at FD.
It joins the unit's cgroups and namespaces, takes the unit's user, drops every capability, loads the same system-call
filter, and runs the command with the variables of the unit's app. It ends as the command ended.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import termios

_LIBC = ctypes.CDLL(None, use_errno=True)
NS_GET_USERNS = 0xB701
NAMESPACES = ("mnt", "pid", "ipc", "uts", "cgroup")
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 1, 22, 38, 24
CAPABILITY_VERSION_3 = 0x20080522
TIOCSPTLCK, TIOCGPTN = 0x40045431, 0x80045430  # asm-generic/ioctls.h
INSIDE = (1000, 1000)  # the user and group that every unit has, but an image's


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def start_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[19])


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(each) for each in file.read().split()]
    except OSError:
        return []


def find_init(monitor):
    """The first process of the unit's own pid namespace: the one below the monitor that has another than ours."""
    ours = os.readlink("/proc/self/ns/pid")
    queue = [monitor]
    while queue:
        pid = queue.pop(0)
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") != ours:
                return pid
        except OSError:
            continue
        queue += children(pid)
    raise OSError(errno.ESRCH, "the instance has no process")


def variables(init):
    """What the unit's app was started with."""
    for pid in children(init):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                pairs = [each.partition(b"=") for each in file.read().split(b"\0") if b"=" in each]
        except OSError:
            continue
        return {name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in pairs}
    return {}


def who(init):
    """The user and group, inside, that the unit's app is: an image has many."""
    for pid in children(init):
        try:
            with open(f"/proc/{pid}/status") as file:
                lines = dict(line.split(":", 1) for line in file if ":" in line)
            found = [
                inside(init, name, int(lines[key].split()[0])) for name, key in (("uid_map", "Uid"), ("gid_map", "Gid"))
            ]
        except (OSError, KeyError, ValueError):
            continue
        if None not in found:
            return tuple(found)
    return INSIDE


def inside(init, name, number):
    """The number that the unit's map gives to `number` of ours (user_namespaces(7))."""
    with open(f"/proc/{init}/{name}") as file:
        for line in file:
            first, outside, count = (int(each) for each in line.split())
            if outside <= number < outside + count:
                return first + number - outside
    return None


def cgroup_files(init):
    """`cgroup.procs` of every cgroup that the unit is in."""
    places = {}
    with open("/proc/self/mountinfo") as file:
        for line in file:
            head, _, tail = line.partition(" - ")
            kind, _, options = tail.split()[:3]
            if kind in ("cgroup", "cgroup2"):
                mount, root = head.split()[4], head.split()[3]
                names = [""] if kind == "cgroup2" else options.split(",")
                for name in names:
                    places.setdefault(name, (mount, root))
    found = []
    with open(f"/proc/{init}/cgroup") as file:
        for line in file:
            _, names, path = line.strip().split(":", 2)
            mount, root = places.get(names.split(",")[0].removeprefix("name="), (None, "/"))
            if mount is not None:
                inside = path[len(root) :] if root != "/" and path.startswith(root) else path
                found.append(f"{mount}/{inside.lstrip('/')}/cgroup.procs")
    return found


def join_cgroups(init):
    for file in cgroup_files(init):
        try:
            with open(file, "w") as procs:
                procs.write("0")
        except OSError:
            continue  # a group that is not ours to join limits nothing of the unit either


def enter(fd, what):
    check(_LIBC.setns(fd, 0), f"enter {what}")


def enter_namespaces(init):
    """All of the unit's. As an ordinary user the way leads through the user namespace that owns the others."""
    held = {name: os.open(f"/proc/{init}/ns/{name}", os.O_RDONLY) for name in (*NAMESPACES, "net", "user")}
    owner = fcntl.ioctl(held["mnt"], NS_GET_USERNS)
    try:
        enter(held["net"], "network namespace")
        entered = True
    except OSError:
        entered = False
    if os.getuid() != 0:
        enter(owner, "owning user namespace")
    for name in NAMESPACES:
        enter(held[name], f"{name} namespace")
    if not entered:
        enter(held["net"], "network namespace")
    if os.fstat(owner).st_ino != os.fstat(held["user"]).st_ino or os.getuid() == 0:
        enter(held["user"], "user namespace")


def drop_everything(seccomp, uid, gid):
    """No capability, no way to get one, the unit's filter."""
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    for number in range(64):
        _LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    check(_LIBC.capset(header, bytes(24)), "drop capabilities")
    check(_LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    if seccomp:
        code = ctypes.create_string_buffer(bytes.fromhex(seccomp))
        program = struct.pack("HxxxxxxP", (len(code) - 1) // 8, ctypes.addressof(code))
        check(_LIBC.prctl(PR_SET_SECCOMP, 2, program, 0, 0), "system-call filter")


def take_terminal(orders, control):
    """A terminal of the unit's own, whose other end goes to whoever gave the orders."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("i", fcntl.ioctl(master, TIOCGPTN, struct.pack("i", 0)))[0]
    slave = os.open(f"/dev/pts/{number}", os.O_RDWR)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", orders["rows"], orders["columns"], 0, 0))
    socket.send_fds(control, [b"terminal"], [master])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.close(slave)


def shell():
    return next((each for each in ("/bin/bash", "/usr/bin/bash") if os.path.exists(each)), "/bin/sh")


def become(orders, env, control, ids):
    """In the child, inside: the command."""
    os.setsid()
    drop_everything(orders["seccomp"], *ids)
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which forgets it
    chosen = shell()
    env = env | {"SHELL": chosen} | ({"LOGNAME": "bas", "USER": "bas"} if ids == INSIDE else {})
    if orders["terminal"]:
        env["TERM"] = orders["term"]
        take_terminal(orders, control)
    control.close()
    for folder in (env.get("APP_HOME", ""), env.get("HOME", ""), "/"):
        try:
            os.chdir(folder)
            break
        except OSError:
            continue
    argv = [chosen, "--login"] if orders["terminal"] and chosen.endswith("bash") else [chosen]
    os.execve(chosen, argv, env)


def main():
    fd = int(sys.argv[1])
    orders = json.loads(os.fdopen(fd, "rb").read())
    control = socket.socket(fileno=orders["control"])
    monitor = orders["monitor"]
    if start_time(monitor) != orders["start_time"]:
        raise OSError(errno.ESRCH, "the instance is gone")
    init = find_init(monitor)
    env, ids = variables(init), who(init)
    join_cgroups(init)
    if os.getuid() == 0:
        os.setgroups([])
    enter_namespaces(init)
    child = os.fork()
    if child == 0:
        try:
            become(orders, env, control, ids)
        except BaseException as error:
            os.write(2, f"havre: {error}\n".encode())
        finally:
            os._exit(126)
    control.close()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGHUP))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        os.write(2, f"havre: {error.strerror}\n".encode())
        os._exit(125)
