"""Validated ROA payloads (VRPs) as the JSON of rpki-client, FORT, StayRTR and Routinator, and the table of them.

The table answers what covers a prefix. It holds one number for a prefix and one for what is allowed there, so that all
VRPs of the Internet are some tens of megabytes, and finds by the prefix's own bits: the prefixes that cover another are
its right shifts (see `havre.drivers.rtr.pdus`), and only lengths that occur are tried.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from havre.base.errors import InvalidError
from havre.drivers.rtr import pdus

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_BYTES = 512 * 1024 * 1024
MOST_ASN = 2**32 - 1
MARK = 1 << 40  # beside a value: what the last full answer had
VALUE = MARK - 1


@dataclass(frozen=True, slots=True, order=True)
class Vrp:
    """One validated ROA payload. `trust_anchor` is empty where the source does not tell it."""

    prefix: Network
    max_length: int
    asn: int
    trust_anchor: str = ""

    def __str__(self) -> str:
        longest = f" up to /{self.max_length}" if self.max_length > self.prefix.prefixlen else ""
        return f"{self.prefix}{longest} by AS{self.asn}"


class Vrps:
    """The table: what is announced and withdrawn by a cache, and looked up by prefix. Each value has a mark, the same
    one but while a full answer comes: see `Renewal`."""

    def __init__(self) -> None:
        self._mark, self._is_between = 0, False
        self._found: dict[int, dict[int, int | tuple[int, ...]]] = {4: {}, 6: {}}
        self._counts: dict[int, list[int]] = {4: [0] * 33, 6: [0] * 129}
        self._lengths: dict[int, tuple[int, ...]] = {4: (), 6: ()}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Vrp]:
        for family, key, value in self.records():
            yield Vrp(network(family, key), value & 255, value >> 8)

    def records(self) -> Iterator[tuple[int, int, int]]:
        """Everything, as family, key and value."""
        for family, found in self._found.items():
            for key, held in found.items():
                for value in held if isinstance(held, tuple) else (held,):
                    yield family, key, value & VALUE

    def renewal(self) -> Renewal:
        """What takes a full answer in, beside what counts until then."""
        return Renewal(self)

    def announce(self, family: int, key: int, value: int) -> bool:
        """Add one; False when it is there already."""
        found, marked = self._found[family], value | self._mark
        held = found.get(key)
        if held is None:
            found[key] = marked
            self._count(family, key.bit_length() - 1, 1)
        elif isinstance(held, tuple):
            if any(each & VALUE == value for each in held):
                return False
            found[key] = (*held, marked)
        elif held & VALUE == value:
            return False
        else:
            found[key] = (held, marked)
        self._size += 1
        return True

    def withdraw(self, family: int, key: int, value: int) -> bool:
        """Take one away; False when it is not there."""
        found = self._found[family]
        held = found.get(key)
        if isinstance(held, tuple):
            left = tuple(each for each in held if each & VALUE != value)
            if len(left) == len(held):
                return False
            found[key] = left if len(left) > 1 else left[0]
        elif held is not None and held & VALUE == value:
            del found[key]
            self._count(family, key.bit_length() - 1, -1)
        else:
            return False
        self._size -= 1
        return True

    def has(self, family: int, key: int, value: int) -> bool:
        held = self._found[family].get(key)
        if isinstance(held, tuple):
            return any(each & VALUE == value for each in held)
        return held is not None and held & VALUE == value

    def covering(self, family: int, key: int) -> Iterator[tuple[int, int]]:
        """Length and value of each VRP that covers the prefix of `key`, the widest first."""
        found, own = self._found[family], key.bit_length() - 1
        for length in self._lengths[family]:
            if length > own:
                return
            held = found.get(key >> (own - length))
            if held is None:
                continue
            if isinstance(held, tuple):
                for value in held:
                    yield length, value & VALUE
            else:
                yield length, held & VALUE

    def _count(self, family: int, length: int, change: int) -> None:
        counts = self._counts[family]
        counts[length] += change
        if counts[length] == (1 if change > 0 else 0):
            self._lengths[family] = tuple(at for at, count in enumerate(counts) if count)


class Renewal:
    """A full answer on its way to a table that has one already. What is in both gets the other mark, which means
    nothing to who looks up; what is new is kept aside. `commit` takes away what has the old mark, so that nothing is
    held twice: a cache that comes back has nearly all that it had."""

    def __init__(self, table: Vrps) -> None:
        self._table, self._new, self._same = table, Vrps(), 0
        self._mark = table._mark ^ MARK
        if table._is_between:  # an answer before this one never ended
            _all_marked(table)
        table._is_between = True

    def __len__(self) -> int:
        return self._same + len(self._new)

    def announce(self, family: int, key: int, value: int) -> bool:
        """Take one in; False when it came already."""
        found = self._table._found[family]
        held = found.get(key)
        if isinstance(held, tuple):
            at = next((at for at, each in enumerate(held) if each & VALUE == value), -1)
            if at < 0:
                return self._new.announce(family, key, value)
            if held[at] & MARK == self._mark:
                return False
            found[key] = (*held[:at], value | self._mark, *held[at + 1 :])
        elif held is None or held & VALUE != value:
            return self._new.announce(family, key, value)
        elif held & MARK == self._mark:
            return False
        else:
            found[key] = value | self._mark
        self._same += 1
        return True

    def commit(self) -> None:
        """From here on the table has what this answer had, and nothing else."""
        table = self._table
        gone = [
            (family, key, value & VALUE)
            for family, found in table._found.items()
            for key, held in found.items()
            for value in (held if isinstance(held, tuple) else (held,))
            if value & MARK != self._mark
        ]
        for each in gone:
            table.withdraw(*each)
        table._mark, table._is_between = self._mark, False
        for each in self._new.records():
            table.announce(*each)


def _all_marked(table: Vrps) -> None:
    """Give everything the table's own mark again."""
    for found in table._found.values():
        for key, held in found.items():
            values = held if isinstance(held, tuple) else (held,)
            marked = tuple(each & VALUE | table._mark for each in values)
            found[key] = marked if len(marked) > 1 else marked[0]


def network(family: int, key: int) -> Network:
    """The prefix of a key."""
    address, length = pdus.address_of(family, key), pdus.length_of(key)
    return ipaddress.IPv4Network((address, length)) if family == 4 else ipaddress.IPv6Network((address, length))


def key(prefix: Network) -> int:
    return pdus.key_of(prefix.version, int(prefix.network_address), prefix.prefixlen)


def record(vrp: Vrp) -> tuple[int, int, int]:
    """Family, key and value of a VRP, as `Vrps` and RTR have them."""
    return vrp.prefix.version, key(vrp.prefix), vrp.asn << 8 | vrp.max_length


def records(found: Iterable[Vrp]) -> Iterator[tuple[int, int, int]]:
    return (record(each) for each in found)


def table(found: Iterable[Vrp]) -> Vrps:
    """The table of these VRPs, each once."""
    made = Vrps()
    for each in found:
        made.announce(*record(each))
    return made


def read(path: Path, *, now_ms: int = 0) -> tuple[Vrp, ...]:
    """The VRPs of a file that are not over at `now_ms`; see `parse`. Raises OSError when there is no such file."""
    if path.stat().st_size > MOST_BYTES:
        raise InvalidError(f"{path.name} is larger than {MOST_BYTES // 1024 // 1024} MiB")
    return parse(path.read_bytes(), name=path.name, now_ms=now_ms)


def parse(text: str | bytes, *, name: str = "the text", now_ms: int = 0) -> tuple[Vrp, ...]:
    """The VRPs of a document of rpki-client, StayRTR, Routinator (`roas`) or FORT (`roas`, or CSV).

    now_ms: what is over by then is left out, where the document says until when (`expires`); 0 leaves nothing out.
    Raises InvalidError with the place when something is not a VRP: half a table would make routes unknown, or invalid.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        if text.lstrip()[:1] not in ("{", "["):
            return _csv(text, name)
        tree = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise InvalidError(f"{name} is not JSON") from cause
    rows = tree.get("roas") if isinstance(tree, dict) else tree
    if not isinstance(rows, list):
        raise InvalidError(f"{name} has no list `roas`")
    found = ((row, _vrp(row, f"{name}, roas[{at}]")) for at, row in enumerate(rows))
    return tuple(each for row, each in found if not _is_over(row, now_ms))


def document(found: Iterable[Vrp]) -> str:
    """VRPs as the JSON that rpki-client writes and StayRTR reads."""
    rows = [
        {"prefix": str(each.prefix), "maxLength": each.max_length, "asn": each.asn, "ta": each.trust_anchor or "havre"}
        for each in found
    ]
    return json.dumps({"metadata": {"roas": len(rows)}, "roas": rows}, indent=1) + "\n"


def _csv(text: str, name: str) -> tuple[Vrp, ...]:
    rows = [line.split(",") for line in text.splitlines() if line.strip()]
    head = [word.strip().lower() for word in rows[0]] if rows else []
    if head[:3] not in (["asn", "prefix", "max prefix length"], ["asn", "ip prefix", "max length"]):
        raise InvalidError(f"{name} is neither JSON nor the CSV of FORT, rpki-client or Routinator")
    made = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) < 3:
            raise InvalidError(f"{name}, line {number}: an AS, a prefix and a length are expected")
        fields = dict(zip(("asn", "prefix", "maxLength", "ta"), row, strict=False))
        made.append(_vrp(fields, f"{name}, line {number}"))
    return tuple(made)


def _is_over(row: dict[str, Any], now_ms: int) -> bool:
    expires = row.get("expires")
    return isinstance(expires, int) and 0 < expires * 1000 < now_ms


def _vrp(row: Any, where: str) -> Vrp:
    if not isinstance(row, dict) or "prefix" not in row or "asn" not in row:
        raise InvalidError(f"{where}: a prefix and an asn are expected")
    try:
        prefix = ipaddress.ip_network(str(row["prefix"]).strip())
        asn = int(str(row["asn"]).strip().upper().removeprefix("AS"))
        longest = int(str(row.get("maxLength", prefix.prefixlen)).strip())
    except ValueError as cause:
        raise InvalidError(f"{where}: {str(row)[:120]} is not a VRP") from cause
    if not prefix.prefixlen <= longest <= prefix.max_prefixlen:
        raise InvalidError(f"{where}: maxLength {longest} does not fit {prefix}")
    if not 0 <= asn <= MOST_ASN:
        raise InvalidError(f"{where}: AS{asn} is not an autonomous system")
    return Vrp(prefix, longest, asn, str(row.get("ta", "")).strip())
