"""The Debian packages that tests and the lab of the network need, installed by `setup` where it runs as root.

Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from parts import ROOT, say

DEBIAN = ROOT / "packaging" / "debian-packages.txt"
NOT_STARTED = Path("/usr/sbin/policy-rc.d")


def packages_of(text: str) -> list[str]:
    """The names in the file of Debian packages."""
    return [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")]


def missing_packages(names: list[str]) -> list[str]:
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\\n", *names], capture_output=True, text=True
    )
    there = {line.split()[0] for line in asked.stdout.splitlines() if line.endswith(" installed")}
    return [each for each in names if each not in there]


def begin() -> subprocess.Popen[str] | None:
    """As root, fetch the Debian packages that tests and the lab of the network need, while the rest is installed;
    named otherwise. Not for `make demo` and `make up`, which need none of them (HAVRE_DEBIAN=no)."""
    if os.environ.get("HAVRE_DEBIAN") == "no":
        return None
    if not (shutil.which("apt-get") and shutil.which("dpkg-query")):
        say("debian", "not Debian: tests and the network's lab name what they lack", time.monotonic())
        return None
    missing = missing_packages(packages_of(DEBIAN.read_text()))
    if not missing:
        return None
    if os.geteuid() != 0:
        say("debian", f"for all tests and havre network lab: apt install {' '.join(missing)}", time.monotonic())
        return None
    own = not NOT_STARTED.exists()
    if own:
        NOT_STARTED.write_text("#!/bin/sh\nexit 101\n")
        NOT_STARTED.chmod(0o755)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    script = [sys.executable, "-c", _INSTALL, "own" if own else "", *missing]
    return subprocess.Popen(script, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


# none of the services is started, now or at the next boot: who wants a daemon here enables it
_INSTALL = f"""
import pathlib, shutil, subprocess, sys
try:
    subprocess.run(["dpkg", "--configure", "-a"], capture_output=True)
    subprocess.run(["apt-get", "-qq", "update"], capture_output=True)
    code = subprocess.run(["apt-get", "-qq", "-y", "install", "--no-install-recommends", *sys.argv[2:]]).returncode
finally:
    if sys.argv[1]:
        pathlib.Path({str(NOT_STARTED)!r}).unlink(missing_ok=True)
services = {{"bird2": "bird", "frr": "frr", "stayrtr": "stayrtr", "rpki-client": "rpki-client.timer",
            "fort-validator": "fort"}}
for package, unit in services.items():
    if package in sys.argv[2:] and shutil.which("systemctl"):
        subprocess.run(["systemctl", "disable", unit], capture_output=True)
sys.exit(code)
"""


def end(begun: subprocess.Popen[str] | None) -> None:
    if begun is None:
        return
    began = time.monotonic()
    said, _ = begun.communicate()
    left = missing_packages(packages_of(DEBIAN.read_text()))
    if begun.returncode != 0 or left:
        why = (said.strip().splitlines() or ["?"])[-1][:120]
        say("debian", f"not installed ({why}): {' '.join(left)}", began)
    else:
        say("debian", "packages for tests and the network's lab (no service of theirs is started)", began)
