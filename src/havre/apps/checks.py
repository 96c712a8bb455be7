"""What may be asked of an app: each raises InvalidError with what was wrong and what is accepted."""

from __future__ import annotations

import re

from havre.base import names
from havre.base.errors import InvalidError
from havre.base.flavors import rank

MOST_INSTANCES = 40
PLATFORM = frozenset(
    {"APP_ID", "APP_HOME", "INSTANCE_ID", "INSTANCE_NUMBER", "INSTANCE_TYPE", "CC_DEPLOYMENT_ID", "CC_COMMIT_ID"}
)
LIFETIMES = ("REGULAR", "TASK")
SLEEP = "CC_SCALE_TO_ZERO_AFTER"  # ours, not the contract's (docs/decisions: scaling)
_SLEEP_SECONDS = re.compile(r"[1-9][0-9]{0,6}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=@-]*")


def variable(name: str, value: str) -> None:
    names.env_name(name)
    if name == SLEEP and not _SLEEP_SECONDS.fullmatch(value):
        raise InvalidError(f"{SLEEP} is a number of seconds without a request after which the app sleeps, such as 600")
    if name in PLATFORM:
        raise InvalidError(f"{name} is set by the platform")
    if "\0" in value or len(value) > 128 * 1024:
        raise InvalidError(f"the value of {name} must be text of at most 128 KiB without NUL")


def scale(min_instances: int, max_instances: int, min_flavor: str, max_flavor: str) -> None:
    if not 1 <= min_instances <= max_instances <= MOST_INSTANCES:
        raise InvalidError(
            f"instances: 1 <= minimum <= maximum <= {MOST_INSTANCES}, not {min_instances} to {max_instances}"
        )
    if rank(min_flavor) > rank(max_flavor):
        raise InvalidError(f"flavors: the minimum {min_flavor} is larger than the maximum {max_flavor}")


def lifetime(text: str) -> None:
    if text not in LIFETIMES:
        raise InvalidError(f"the lifetime of an app is one of {', '.join(LIFETIMES)}")


def commit(text: str) -> None:
    if not _COMMIT.fullmatch(text):
        raise InvalidError(f"{text!r} is not the full id of a commit (40 hexadecimal digits)")


def branch(text: str) -> str:
    """The name of a branch: fewer than git allows (git-check-ref-format(1)), and nothing below `master`."""
    parts = text.split("/")
    is_fit = all(_PART.fullmatch(each) and ".." not in each and not each.endswith((".", ".lock")) for each in parts)
    if not is_fit or len(text) > 200 or "@{" in text or (parts[0] == "master" and len(parts) > 1):
        raise InvalidError(f"{text!r} is not the name of a branch, such as main or release/2.1")
    return text
