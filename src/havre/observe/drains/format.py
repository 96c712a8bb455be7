"""Pure: one log line as the formats of this world have it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from havre.observe.model import LogRecord

SEVERITIES = {"emerg": 0, "alert": 1, "crit": 2, "error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
USER = 1  # facility


def iso(at: int) -> str:
    moment = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"


def as_json(line: LogRecord) -> dict[str, Any]:
    return {
        "id": line.id,
        "date": iso(line.at),
        "message": line.message,
        "severity": line.severity,
        "service": line.service,
        "applicationId": line.app_id,
        "deploymentId": line.deployment_id,
        "instanceId": line.instance_id,
        "commitId": line.commit,
    }


def rfc5424(line: LogRecord, *, structured: str = "") -> bytes:
    """One message (RFC 5424 section 6): host is the app, app-name its service, procid the instance.

    structured: parameters that the recipient's owner wants in the structured data, as they stand.
    """
    priority = USER * 8 + SEVERITIES.get(line.severity, 6)
    service = line.service.removesuffix(".service")[:48] or "-"
    data = f"[{structured}]" if structured else "-"
    head = f"<{priority}>1 {iso(line.at)} {line.app_id} {service} {line.instance_id or '-'} - {data} "
    return (head + line.message.replace("\n", " ")).encode("utf-8", "replace")


def compact(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
