"""SYSLOG_TCP and SYSLOG_UDP (RFC 5424; octets counted as RFC 6587 section 3.4.1 has it), and OVH_TCP, which is TLS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from havre.drivers.outbound import Outbound
from havre.observe.drains import format
from havre.observe.drains.model import Recipient
from havre.observe.model import LogRecord

DATAGRAM_LIMIT = 8192
STRUCTURED = "rfc5424StructuredDataParameters"


def _structured(recipient: Recipient) -> str:
    found = recipient.get(STRUCTURED, "")
    return f"havre@32473 {found}" if found else ""


def _framed(recipient: Recipient, lines: Sequence[LogRecord]) -> bytes:
    messages = [format.rfc5424(each, structured=_structured(recipient)) for each in lines]
    return b"".join(str(len(each)).encode() + b" " + each for each in messages)


class SyslogTcp:
    schemes: Mapping[str, int] = {"tcp": 514, "tls": 6514, "tcp+tls": 6514}
    needs: tuple[str, ...] = ()

    async def send(self, outbound: Outbound, recipient: Recipient, lines: Sequence[LogRecord]) -> None:
        target = await outbound.resolve(recipient["url"], ports=self.schemes)
        await outbound.stream(target, _framed(recipient, lines), tls=target.scheme != "tcp")


class OvhTcp:
    schemes: Mapping[str, int] = {"tcp": 6514, "tls": 6514}
    needs: tuple[str, ...] = (STRUCTURED,)

    async def send(self, outbound: Outbound, recipient: Recipient, lines: Sequence[LogRecord]) -> None:
        target = await outbound.resolve(recipient["url"], ports=self.schemes)
        await outbound.stream(target, _framed(recipient, lines), tls=True)


class SyslogUdp:
    schemes: Mapping[str, int] = {"udp": 514}
    needs: tuple[str, ...] = ()

    async def send(self, outbound: Outbound, recipient: Recipient, lines: Sequence[LogRecord]) -> None:
        target = await outbound.resolve(recipient["url"], ports=self.schemes)
        found = _structured(recipient)
        await outbound.datagrams(target, [format.rfc5424(each, structured=found)[:DATAGRAM_LIMIT] for each in lines])
