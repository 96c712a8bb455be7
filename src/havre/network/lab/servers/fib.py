"""The forwarding table of a router that runs GoBGP: `fib.py` brings its best routes to the kernel as they come and go.

GoBGP keeps no forwarding table, and its way to FRR's zebra ends in a panic with FRR 8.4 (GoBGP 3.10). Standard library
only; runs until it is killed, and what it starts ends with it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading

FAMILIES = ("ipv4", "ipv6")
ROUTE = re.compile(r"\[(ROUTE|DELROUTE)\] (\S+) via (\S+)")
MONITOR = ("setpriv", "--pdeathsig", "KILL", "gobgp", "monitor", "global", "rib", "--current", "-a")


def change(line: str) -> list[str]:
    """What `ip` is told for a line of the monitor; empty for a line that says nothing of routes."""
    matched = ROUTE.search(line)
    if matched is None:
        return []
    word, prefix, hop = matched.groups()
    family = "-6" if ":" in prefix else "-4"
    if word == "DELROUTE":
        return ["ip", family, "route", "del", prefix, "proto", "bgp"]
    return ["ip", family, "route", "replace", prefix, "via", hop, "proto", "bgp"]


def follow(family: str) -> None:
    """Carry out what the monitor of one family says; when it ends (the daemon is not there yet) it is begun again."""
    while True:
        with subprocess.Popen([*MONITOR, family], stdout=subprocess.PIPE, text=True) as monitor:
            assert monitor.stdout is not None
            for line in monitor.stdout:
                argv = change(line)
                if argv and subprocess.run(argv, stdout=sys.stderr, stderr=sys.stderr).returncode == 0:
                    print(*argv, flush=True)
        threading.Event().wait(0.1)


if __name__ == "__main__":
    threads = [threading.Thread(target=follow, args=(each,)) for each in FAMILIES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
