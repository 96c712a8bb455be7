"""The control groups of one unit: made, entered, looked at, emptied and removed.

Part of the monitor (standard library only). Which groups and what is written in them the engine has decided.

To move a process, the kernel holds every fork on the machine and waits for a grace period: 5 to 20 ms of a start. A
process that is born in its group (version 2, clone(2)) and a single thread (version 1, `tasks`) are not waited for.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time

SIGKILL, SIGCHLD = 9, 17
CLONE3, CLONE_INTO_CGROUP = 435, 0x200000000
CLONE_ARGS = struct.Struct("=11Q")  # flags, pidfd, child_tid, parent_tid, exit_signal, …, cgroup


def kill(pid):
    try:
        os.kill(pid, SIGKILL)
    except ProcessLookupError:
        return


def make(orders):
    """Make the unit's groups. A limit that cannot be written is named in the monitor's log and missing."""
    for folder, files in orders["cgroups"]:
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            print(f"cgroup {folder}: {error}", file=sys.stderr)
            continue
        for name, value in files:
            try:
                with open(os.path.join(folder, name), "w") as file:
                    file.write(value)
            except OSError as error:
                print(f"cgroup {folder}/{name}: {error}", file=sys.stderr)


def fork(orders):
    """As os.fork, but the child is born in the unit's group of version 2, where there is one and the kernel can."""
    for folder, _ in orders["cgroups"]:
        if not moves_threads(folder):
            try:
                pid = fork_into(folder)
            except OSError:
                break
            orders["born_in"] = folder
            return pid
    return os.fork()


def fork_into(folder):
    """Only for a process with one thread: the C library does not hear of this fork."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    told = CLONE_ARGS.pack(CLONE_INTO_CGROUP, 0, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, held)
    call = ctypes.PyDLL(None, use_errno=True).syscall
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = call(CLONE3, told, len(told))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        number = ctypes.get_errno()
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    os.close(held)
    if pid < 0:
        raise OSError(number, os.strerror(number))
    return pid


def moves_threads(folder):
    """Whether the group is of version 1."""
    return os.path.exists(os.path.join(folder, "tasks"))


def join(orders):
    """The caller has one thread."""
    for folder, _ in orders["cgroups"]:
        if folder == orders.get("born_in"):
            continue
        try:
            with open(os.path.join(folder, "tasks" if moves_threads(folder) else "cgroup.procs"), "w") as file:
                file.write("0")
        except OSError as error:
            print(f"cgroup {folder}: {error}", file=sys.stderr)


def processes_of(orders):
    """Everything in the unit's groups."""
    found = set()
    for folder, _ in orders["cgroups"]:
        try:
            with open(os.path.join(folder, "cgroup.procs")) as file:
                found.update(int(each) for each in file.read().split())
        except OSError:
            continue
    return found - {0, os.getpid()}


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


def leave(orders):
    for folder, _ in orders["cgroups"]:
        for _ in range(50):
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError:
                for pid in processes_of(orders):
                    kill(pid)
                time.sleep(0.02)
