"""The processes of one unit as /proc shows them, and who of them is told to end.

Part of the monitor (standard library only).
"""

from __future__ import annotations

import os

SIGTERM = 15
SHELLS = ("sh", "bash", "dash", "busybox")


def start_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[19])


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(each) for each in file.read().split()]
    except OSError:
        return []


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def program_of(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def hears(pid):
    """Whether the process does something of its own on SIGTERM."""
    try:
        with open(f"/proc/{pid}/status") as file:
            caught = file.read().split("\nSigCgt:", 1)[1].split(None, 1)[0]
    except (OSError, IndexError):
        return False
    return bool(int(caught, 16) >> (SIGTERM - 1) & 1)


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def tell(init, *, all_of_it):
    """SIGTERM to what is below the namespace's init, the eldest first.

    Unless it is told to all of it, it is not to a program's own workers, nor to a shell that waits and does not listen.
    """
    queue = [(init, "", False)]
    while queue:
        pid, name, is_shell = queue.pop(0)
        for child in children_of(pid):
            its_name, it_is_shell = name_of(child), program_of(child) in SHELLS
            is_worker = its_name == name and not is_shell
            waits = it_is_shell and not hears(child) and children_of(child)
            if all_of_it or not (is_worker or waits):
                kill(child, SIGTERM)
            queue.append((child, its_name, it_is_shell))
