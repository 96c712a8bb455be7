"""A transit that runs FRR: what its three daemons are told, and how they are started. FRR 8.4 and later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from havre.network.model import FAMILIES, Bfd, Family, Intent, Upstream

PLACE = Path("/usr/lib/frr")
SOCKETS = {"zebra": ("zserv.api",), "bfdd": ("bfdd.sock", "bfdd.vty"), "bgpd": ("bgpd.vty",)}
DAEMONS = ("zebra", "bfdd", "bgpd")
WORD: Mapping[Family, str] = {4: "ip", 6: "ipv6"}
ALL: Mapping[Family, str] = {4: "0.0.0.0/0 le 32", 6: "::/0 le 128"}


def is_there() -> bool:
    """Whether FRR is installed."""
    return all((PLACE / each).exists() for each in DAEMONS)


def texts(
    intent: Intent, upstream: Upstream, *, far: Mapping[Family, tuple[str, str]], internet: int
) -> dict[str, str]:
    """The configuration of each daemon. far: of each family our address and the neighbour's towards the Internet."""
    return {
        "zebra": f"hostname {upstream.name}\n",
        "bfdd": "\n".join(_bfdd(upstream)) + "\n",
        "bgpd": "\n".join(_bgpd(intent, upstream, far, internet)) + "\n",
    }


def commands(folder: Path, daemons: Sequence[str] = DAEMONS) -> list[tuple[str, list[str]]]:
    """What starts each of these daemons; `folder` belongs to FRR's user and has a file for each."""
    sockets = ["--vty_socket", str(folder), "-z", str(folder / "zserv.api"), "--log", "stdout"]
    extra = {"bfdd": ["--bfdctl", str(folder / "bfdd.sock")]}
    found = []
    for each in daemons:
        argv = [str(PLACE / each), "-f", str(folder / f"{each}.conf"), "-i", str(folder / f"{each}.pid"), *sockets]
        found.append((each, [*argv, *extra.get(each, [])]))
    return found


def _bfdd(upstream: Upstream) -> Iterator[str]:
    if upstream.bfd is not None:
        yield "bfd"
        yield " profile fast"
        yield f"  receive-interval {upstream.bfd.interval_ms}"
        yield f"  transmit-interval {upstream.bfd.interval_ms}"
        yield f"  detect-multiplier {upstream.bfd.multiplier}"


def _bgpd(intent: Intent, upstream: Upstream, far: Mapping[Family, tuple[str, str]], internet: int) -> Iterator[str]:
    for family in FAMILIES:
        for number, own in enumerate(intent.own(family), 1):
            yield f"{WORD[family]} prefix-list OWN{family} seq {number * 5} permit {own.prefix}"
            yield f"{WORD[family]} prefix-list OTHERS{family} seq {number * 5} deny {own.prefix}"
        yield f"{WORD[family]} prefix-list OTHERS{family} seq 10000 permit {ALL[family]}"
    yield f"router bgp {upstream.asn}"
    yield f" bgp router-id {far[4][0]}"
    yield " no bgp ebgp-requires-policy"
    yield " no bgp default ipv4-unicast"
    neighbors: list[tuple[Family, str, int, str, str, Bfd | None]] = []
    for family in FAMILIES:
        link = upstream.link(family)
        if link is not None:
            neighbors.append((family, str(link.local), intent.asn, f"OWN{family}", f"OTHERS{family}", upstream.bfd))
        neighbors.append((family, far[family][1], internet, f"OTHERS{family}", f"OWN{family}", None))
    for _, address, asn, _, _, bfd in neighbors:
        yield f" neighbor {address} remote-as {asn}"
        yield f" neighbor {address} timers connect 2"
        yield f" neighbor {address} advertisement-interval 0"
        if bfd is not None:
            yield f" neighbor {address} bfd"
            yield f" neighbor {address} bfd profile fast"
    for family in FAMILIES:
        yield f" address-family ipv{family} unicast"
        for of, address, _, taken, told, _ in neighbors:
            if of == family:
                yield f"  neighbor {address} activate"
                yield f"  neighbor {address} prefix-list {taken} in"
                yield f"  neighbor {address} prefix-list {told} out"
        yield " exit-address-family"
