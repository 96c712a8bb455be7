"""RAW_HTTP: each batch is one POST whose body has one RFC 5424 message a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from havre.drivers.outbound import Outbound
from havre.observe.drains import format
from havre.observe.drains.model import Recipient
from havre.observe.model import LogRecord


class RawHttp:
    schemes: Mapping[str, int] = {"https": 443, "http": 80}
    needs: tuple[str, ...] = ()

    async def send(self, outbound: Outbound, recipient: Recipient, lines: Sequence[LogRecord]) -> None:
        body = b"".join(format.rfc5424(each) + b"\n" for each in lines)
        user, password = recipient.get("username"), recipient.get("password")
        auth = (user, password or "") if user else None
        await outbound.post(recipient["url"], body, headers={"content-type": "text/plain; charset=utf-8"}, auth=auth)
