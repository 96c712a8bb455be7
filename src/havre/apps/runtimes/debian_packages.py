"""HAVRE_PACKAGES: Debian packages that an app asks for itself, beside those of its kind. Ours, not of the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from havre.apps.runtimes.plan import Plan
from havre.base.errors import InvalidError

VARIABLE = "HAVRE_PACKAGES"
MOST = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian Policy, 5.6.7


def with_packages(plan: Plan, env: Mapping[str, str]) -> Plan:
    """`plan` with the packages of HAVRE_PACKAGES (commas or spaces between), in the build and in the instances.

    Raises InvalidError for what is no package's name.
    """
    names = env.get(VARIABLE, "").replace(",", " ").split()
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidError(f"{VARIABLE}: {name} is not the name of a Debian package")
    if len(names) > MOST:
        raise InvalidError(f"{VARIABLE} names {len(names)} packages, at most {MOST} are taken")
    return replace(plan, packages=tuple(dict.fromkeys((*plan.packages, *names)))) if names else plan
