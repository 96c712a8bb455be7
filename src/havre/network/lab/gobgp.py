"""A transit that runs GoBGP: what it is told, and how it is started. GoBGP 3.10 and later.

It speaks BGP alone: `servers/fib.py` brings its routes to the kernel, and FRR's bfdd answers BFD, which GoBGP does not
know. So its neighbours see a cut within milliseconds, and it sees one when its hold time is over.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from havre.network.lab import frr
from havre.network.lab.servers import fib
from havre.network.model import FAMILIES, Family, Intent, Upstream

PROGRAM = "gobgpd"
BESIDE = ("zebra", "bfdd")  # of FRR
SIDES = ("customer", "internet")


def is_there() -> bool:
    """Whether GoBGP, and what it needs of FRR, are installed."""
    return shutil.which(PROGRAM, path="/usr/bin:/usr/sbin:/usr/local/bin") is not None and frr.is_there()


def texts(
    intent: Intent, upstream: Upstream, *, far: Mapping[Family, tuple[str, str]], internet: int
) -> dict[str, str]:
    """The configuration of each daemon. far: of each family our address and the neighbour's towards the Internet."""
    return {
        "zebra": f"hostname {upstream.name}\n",
        "bfdd": "\n".join(_bfdd(upstream)) + "\n",
        PROGRAM: "\n".join(_gobgpd(intent, upstream, far, internet)) + "\n",
    }


def commands(folder: Path) -> list[tuple[str, list[str]]]:
    """What starts the daemon, and what follows it."""
    argv = [PROGRAM, "-t", "toml", "-f", str(folder / f"{PROGRAM}.conf"), "--api-hosts", "127.0.0.1:50051"]
    return [
        (PROGRAM, [*argv, "--pprof-disable", "--log-plain"]),
        ("fib", [sys.executable, "-I", "-S", str(Path(fib.__file__))]),
    ]


def _bfdd(upstream: Upstream) -> Iterator[str]:
    if upstream.bfd is None:
        return
    yield "bfd"
    for link in upstream.links:
        yield f" peer {link.local} local-address {link.neighbor} interface cust"
        yield f"  receive-interval {upstream.bfd.interval_ms}"
        yield f"  transmit-interval {upstream.bfd.interval_ms}"
        yield f"  detect-multiplier {upstream.bfd.multiplier}"
        yield "  no shutdown"


def _gobgpd(intent: Intent, upstream: Upstream, far: Mapping[Family, tuple[str, str]], internet: int) -> Iterator[str]:
    sides: Mapping[str, Sequence[tuple[Family, str, str, int]]] = {
        "customer": [(each.family, str(each.neighbor), str(each.local), int(intent.asn)) for each in upstream.links],
        "internet": [(each, *far[each], internet) for each in FAMILIES],
    }
    yield f'[global.config]\nas = {upstream.asn}\nrouter-id = "{far[4][0]}"'
    yield "[global.apply-policy.config]"
    for way in ("import", "export"):
        names = ", ".join(f'"{way}-{side}"' for side in SIDES)
        yield f'{way}-policy-list = [{names}]\ndefault-{way}-policy = "reject-route"'
    for neighbors in sides.values():
        for family, local, address, asn in neighbors:
            yield f'[[neighbors]]\n[neighbors.config]\nneighbor-address = "{address}"\npeer-as = {asn}'
            yield f'[neighbors.transport.config]\nlocal-address = "{local}"'
            yield "[neighbors.timers.config]\nconnect-retry = 2\nidle-hold-time-after-reset = 1"
            yield f'[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = "ipv{family}-unicast"'
    for side in SIDES:
        listed = ", ".join(f'"{address}"' for _, _, address, _ in sides[side])
        yield f'[[defined-sets.neighbor-sets]]\nneighbor-set-name = "{side}"\nneighbor-info-list = [{listed}]'
    for family in FAMILIES:
        yield f'[[defined-sets.prefix-sets]]\nprefix-set-name = "own{family}"'
        for own in intent.own(family):
            yield f'[[defined-sets.prefix-sets.prefix-list]]\nip-prefix = "{own.prefix}"'
    # our prefixes come from the customer and go to the Internet, everything else the other way
    yield from _policy("import-customer", "customer", is_own=True)
    yield from _policy("import-internet", "internet", is_own=False)
    yield from _policy("export-customer", "customer", is_own=False)
    yield from _policy("export-internet", "internet", is_own=True)


def _policy(name: str, side: str, *, is_own: bool) -> Iterator[str]:
    yield f'[[policy-definitions]]\nname = "{name}"'
    for family in FAMILIES:
        yield from _statement(f"{name}-own{family}", side, f"own{family}", "accept" if is_own else "reject")
    if not is_own:
        yield from _statement(f"{name}-others", side, "", "accept")


def _statement(name: str, side: str, prefixes: str, word: str) -> Iterator[str]:
    yield f'[[policy-definitions.statements]]\nname = "{name}"'
    yield f'[policy-definitions.statements.conditions.match-neighbor-set]\nneighbor-set = "{side}"'
    if prefixes:
        yield f'[policy-definitions.statements.conditions.match-prefix-set]\nprefix-set = "{prefixes}"'
    yield f'[policy-definitions.statements.actions]\nroute-disposition = "{word}-route"'
