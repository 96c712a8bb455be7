"""DATADOG, NEWRELIC, BETTERSTACK: a JSON array of lines in one POST, each with its vendor's key where it wants it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from havre.drivers.outbound import Outbound
from havre.observe.drains import format
from havre.observe.drains.model import Recipient
from havre.observe.model import LogRecord

JSON = {"content-type": "application/json"}


def _packed(lines: Sequence[LogRecord], **names: str) -> bytes:
    """names: what the vendor calls a field of ours."""
    found = [format.compact(format.as_json(each)) for each in lines]
    return json.dumps([{names.get(name, name): value for name, value in each.items()} for each in found]).encode()


class Datadog:
    """The key stands in the URL."""

    schemes: Mapping[str, int] = {"https": 443, "http": 80}
    needs: tuple[str, ...] = ()

    async def send(self, outbound: Outbound, recipient: Recipient, lines: Sequence[LogRecord]) -> None:
        await outbound.post(recipient["url"], _packed(lines, severity="status"), headers=JSON)


class NewRelic:
    schemes: Mapping[str, int] = {"https": 443, "http": 80}
    needs: tuple[str, ...] = ("apiKey",)

    async def send(self, outbound: Outbound, recipient: Recipient, lines: Sequence[LogRecord]) -> None:
        headers = JSON | {"api-key": recipient["apiKey"]}
        await outbound.post(recipient["url"], _packed(lines, date="timestamp", severity="level"), headers=headers)


class BetterStack:
    schemes: Mapping[str, int] = {"https": 443, "http": 80}
    needs: tuple[str, ...] = ("sourceToken",)

    async def send(self, outbound: Outbound, recipient: Recipient, lines: Sequence[LogRecord]) -> None:
        headers = JSON | {"authorization": f"Bearer {recipient['sourceToken']}"}
        await outbound.post(recipient["url"], _packed(lines, date="dt", severity="level"), headers=headers)
