"""Tables of origins, and the bytes in which a cache tells them."""

from __future__ import annotations

import json

from havre.drivers.rtr import pdus
from havre.network.registries import vrps

FIRST = [("198.51.100.0/24", 24, 64510), ("2001:db8:100::/48", 48, 64510)]
SECOND = [*FIRST, ("203.0.113.0/24", 24, 64511), ("2001:db8:200::/40", 48, 64511)]
THIRD = [SECOND[0], SECOND[2]]
Rows = list[tuple[str, int, int]]


def rows(table: vrps.Vrps | None) -> Rows | None:
    return None if table is None else sorted((str(each.prefix), each.max_length, each.asn) for each in table)


def units(found: Rows, *, announce: bool = True, version: int = 1) -> bytes:
    told = vrps.records(vrps.parse(json.dumps([{"prefix": p, "maxLength": m, "asn": a} for p, m, a in found])))
    return b"".join(pdus.prefix(version, *each, announce=announce) for each in told)


def full(found: Rows, *, serial: int = 1, number: int = 7, version: int = 1) -> bytes:
    begin = pdus.plain(version, pdus.CACHE_RESPONSE, number)
    return begin + units(found, version=version) + pdus.end_of_data(version, number, serial, pdus.Timers())
