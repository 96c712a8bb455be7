"""Static files and compression beside an app, for runtimes whose servers do neither: Caddy before the app's socket.

STATIC_FILES_PATH and STATIC_URL_PREFIX say which files have which URLs, ENABLE_GZIP_COMPRESSION compresses.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from havre.apps.runtimes.plan import is_true
from havre.base.errors import InvalidError

SOCKET = "/tmp/app.sock"
_PREFIX = re.compile(r"/[\w./-]+")


@dataclass(frozen=True)
class Front:
    """What a plan of an app behind it has besides its own."""

    env: Mapping[str, str]
    toolchains: tuple[str, ...] = ("caddy", "front", "together")

    def line(self, app: str) -> str:
        """The start line: `app`, which listens on SOCKET, and the front; neither lives without the other."""
        return f"together {shlex.quote(app)} 'caddy run --config /opt/havre/front/Caddyfile'"


def front(env: Mapping[str, str]) -> Front | None:
    """What the variables ask for; None when the app's server has the port itself. Raises InvalidError."""
    files = env.get("STATIC_FILES_PATH", "").strip().strip("/")
    packs = is_true(env.get("ENABLE_GZIP_COMPRESSION"))
    if not files and not packs:
        return None
    prefix = "/" + (env.get("STATIC_URL_PREFIX", "").strip().strip("/") or "public")
    if ".." in PurePosixPath(files).parts or not _PREFIX.fullmatch(prefix):
        raise InvalidError("STATIC_FILES_PATH is a folder of the app, STATIC_URL_PREFIX the path of its files' URLs")
    told = {"XDG_DATA_HOME": "/tmp/caddy", "XDG_CONFIG_HOME": "/tmp/caddy", "FRONT_ENCODE": "encode gzip" * packs}
    return Front(told | ({"FRONT_PREFIX": prefix, "FRONT_FILES": f"$APP_ROOT/{files}"} if files else {}))
