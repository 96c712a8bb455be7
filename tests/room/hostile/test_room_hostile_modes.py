"""Apps that mean harm under a platform that is root, as most installations are, and under one that is not.

What a mode cannot give is a line of `havre doctor`, named in the files beside this one with the trial that lacks it.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.hostile_rig import IS_ROOT, HostileRig, as_ordinary_user, found_by_doctor

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]
HAS_PASTA = os.access("/dev/net/tun", os.R_OK | os.W_OK) and shutil.which("pasta") is not None
ABOUT_ISOLATION = {"namespaces", "own users", "limits", "system calls", "way out"}


async def test_what_this_mode_cannot_give_is_named_by_doctor_and_nothing_else(rig: HostileRig) -> None:
    found = {what: each for what, each in found_by_doctor(rig).items() if what in ABOUT_ISOLATION}
    assert set(found) == ABOUT_ISOLATION
    lacking = {what: each for what, each in found.items() if not each.ok}
    if IS_ROOT:  # on a machine that has control groups and nftables; one that has not is named, too
        assert set(lacking) <= {"limits", "way out"}
    else:
        is_delegated = found["limits"].ok
        expected = (
            {"own users"} | ({"limits"} - {"limits" if is_delegated else ""}) | (set() if HAS_PASTA else {"way out"})
        )
        assert set(lacking) == expected
        assert lacking["own users"].seen == "one user for all apps"
        assert is_delegated or lacking["limits"].follows.startswith("no limit for memory, cpu:")
    assert all(each.follows for each in lacking.values())


@pytest.mark.skipif(not IS_ROOT, reason="this is the trial as an ordinary user")
def test_all_of_it_as_an_ordinary_user() -> None:
    done = as_ordinary_user([sys.executable, "-m", "pytest", "-q", "-n", "0", str(Path(__file__).parent)], limit_s=270)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
