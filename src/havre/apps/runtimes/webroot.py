"""The folder that a server of files shows: CC_WEBROOT, below the app's folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

HOOKS = ("CC_PRE_BUILD_HOOK", "CC_POST_BUILD_HOOK", "CC_PRE_RUN_HOOK")
_PATH = re.compile(r"[\w./@+ -]+")


def webroot(tree: Tree, env: Mapping[str, str]) -> str:
    """As a value of a plan's variable. Raises InvalidError for what is no folder, unless a hook may make it."""
    asked = env.get("CC_WEBROOT", "").strip()
    parts = PurePosixPath(asked.strip("/")).parts
    if ".." in parts or (asked and not _PATH.fullmatch(asked)):
        raise InvalidError("CC_WEBROOT is a folder of the repository, such as /public")
    made_by_hook = any(env.get(name, "").strip() for name in HOOKS)
    if parts and parts[0] + "/" not in tree and not made_by_hook:
        raise InvalidError(f"CC_WEBROOT={asked} is not a folder of the repository")
    return "/".join(["$APP_ROOT", *parts])
