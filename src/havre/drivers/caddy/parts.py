"""Small parts of Caddy's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from havre.drivers.caddy.settings import EdgeSettings

Json = dict[str, Any]

NORMAL_HOST = r"^(?:[a-z0-9-]{1,63})(?:\.([a-z0-9.-]{0,250}[a-z0-9]))?$"  # group 1: all but the first label


def to_https(settings: EdgeSettings, status: int) -> Json:
    port = "" if settings.https_port == 443 else f":{settings.https_port}"
    location = f"https://{{http.request.host}}{port}{{http.request.uri}}"
    return {"handler": "static_response", "status_code": status, "headers": {"Location": [location]}}


def append(key: str, value: str) -> Json:
    return {"handler": "log_append", "key": key, "value": value}


def file_matcher(root: Path, *names: str) -> Json:
    return {"file": {"root": str(root), "try_files": list(names)}}


def subroute(routes: list[Json]) -> Json:
    return {"handler": "subroute", "routes": routes}


def address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_specific(bind: str) -> bool:
    """Whether the listeners are on one address only, so that the loopback may not reach them."""
    return bind not in ("", "0.0.0.0", "::")


def seconds(value: float) -> str:
    return f"{int(value * 1000)}ms"
