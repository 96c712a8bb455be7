"""The log: constant event names, facts as keys, and the context that doors and loops bind once."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from havre.base.secret import Secret


def _hide_secrets(_logger: Any, _method: str, event: Any) -> Any:
    for key, value in event.items():
        if isinstance(value, Secret) or (
            isinstance(value, str) and key in {"secret", "password", "token", "authorization"}
        ):
            event[key] = "***"
    return event


def configure_log(*, stream: TextIO = sys.stderr, as_json: bool | None = None, level: str = "info") -> None:
    """Log lines to `stream`: JSON for machines, colours for a terminal."""
    machine = not stream.isatty() if as_json is None else as_json
    renderer: Any = structlog.processors.JSONRenderer() if machine else structlog.dev.ConsoleRenderer()
    tail: list[Any] = [structlog.processors.format_exc_info, renderer] if machine else [renderer]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _hide_secrets,
            *tail,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
