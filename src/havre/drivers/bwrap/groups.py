"""The control groups of one unit: made, looked at, emptied and removed.

Part of the monitor (standard library only). Which groups and what is written in them the engine has decided.
"""

from __future__ import annotations

import os
import sys
import time

SIGKILL = 9


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
