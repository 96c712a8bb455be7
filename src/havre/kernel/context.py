"""The log: constant event names, facts as keys, and the context that doors and loops bind once."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from pathlib import Path
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


def configure_log(
    *, stream: TextIO | RotatingLog = sys.stderr, as_json: bool | None = None, level: str = "info"
) -> None:
    """Log lines to `stream`: JSON for machines, colours for a terminal."""
    machine = not stream.isatty() if as_json is None else as_json
    plain = structlog.dev.plain_traceback  # a prettier one prints local variables, which may hold secrets
    renderer: Any = (
        structlog.processors.JSONRenderer() if machine else structlog.dev.ConsoleRenderer(exception_formatter=plain)
    )
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
        logger_factory=structlog.WriteLoggerFactory(file=stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )


class RotatingLog:
    """A log file that is bounded: at `limit_bytes` it becomes `<name>.1` and a new one begins.

    Nobody fails because a line cannot be written: on a full disk it is lost.
    """

    def __init__(self, path: Path, *, limit_bytes: int = 16 * 1024**2) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._file = self._open()

    def _open(self) -> io.FileIO:
        return open(self._path, "ab", buffering=0)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            if self._file.tell() > self._limit_bytes:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                fresh, old = self._open(), self._file
                self._file = fresh
                old.close()
            self._file.write(text.encode())
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def isatty(self) -> bool:
        return False
