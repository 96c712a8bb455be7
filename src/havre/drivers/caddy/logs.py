"""What Caddy writes down."""

from __future__ import annotations

from havre.drivers.caddy.parts import Json
from havre.drivers.caddy.settings import EdgeSettings


def logs_of(settings: EdgeSettings) -> Json:
    """Requests and Caddy's own words go to two files that cannot grow past their bound. No header is written down.

    `ts`, the first, is in seconds since the epoch, with fractions; `logger` ends in the scheme; then come `request`,
    `duration`, `status` and what we add, in this order. Rolled files are
    `access-<time>.log`, not compressed. Caddy prepares what it knows of a request for each log that could want a word
    of its server's, or of a handler's, whether or not one is written. So its own words are those
    of its other parts; what went wrong with a request stands in its line, in `error`.
    """
    roll = {"roll": True, "roll_size_mb": settings.log_roll_mib, "roll_keep": settings.log_files_kept}
    left_out = ("request>headers", "request>tls", "request>remote_ip", "resp_headers", "user_id")
    return {
        "logs": {
            "requests": {
                "writer": {"output": "file", "filename": str(settings.access_log), "roll_gzip": False, **roll},
                "encoder": _json_without(*left_out, message_key="", level_key=""),
                "include": ["http.log.access"],
            },
            "default": {
                "writer": {"output": "file", "filename": str(settings.caddy_log), **roll},
                "exclude": ["http"],
            },
        }
    }


def _json_without(*fields: str, **keys: str) -> Json:
    deleted = {each: {"filter": "delete"} for each in fields}
    return {"format": "filter", "wrap": {"format": "json", **keys}, "fields": deleted}
