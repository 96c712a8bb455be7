"""The lab's registries: a routing registry with our objects, and validated caches fed by ROAs that are really signed.

All of it listens inside namespaces of the lab alone: the registry and our cache beside the customer, the far router's
cache beside it.
"""

from __future__ import annotations

import ipaddress
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from havre.drivers import netns
from havre.network.lab.servers import authority
from havre.network.lab.world import Knobs
from havre.network.model import Asn, Intent
from havre.network.registries import vrps
from havre.network.registries.vrps import Vrp

IRR_PORT, RTR_PORT = 4343, 8282
SOURCE = "RIPE"


def objects(intent: Intent, knobs: Knobs) -> str:
    """What the registry holds, in RPSL."""
    return "\n\n".join("\n".join(each) for each in _objects(intent, knobs)) + "\n"


def _objects(intent: Intent, knobs: Knobs) -> Iterator[list[str]]:
    tail = [f"mnt-by: {intent.registry.maintainer or 'LAB-MNT'}", f"source: {SOURCE}"]
    for own in intent.prefixes:
        name = "route" if own.prefix.family == 4 else "route6"
        for origin in _origins(intent, own.old_origin, has_new=knobs.irr_has_new_origin):
            yield [f"{name}: {own.prefix}", f"origin: AS{origin}", *tail]
    if intent.registry.as_set:
        yield [f"as-set: {intent.registry.as_set}", f"members: AS{intent.asn}", *tail]
    told = intent.registry.as_set or f"AS{intent.asn}"
    lines = [f"aut-num: AS{intent.asn}", "as-name: LAB"]
    for each in intent.upstreams:
        for afi, attribute in (("", ""), ("afi ipv6.unicast ", "mp-")):
            lines.append(f"{attribute}import: {afi}from AS{each.asn} accept ANY")
            lines.append(f"{attribute}export: {afi}to AS{each.asn} announce {told}")
    yield [*lines, *tail]


def _origins(intent: Intent, old: Asn | None, *, has_new: bool) -> list[int]:
    return [*([old] if old else []), *([intent.asn] if has_new else [])]


def validated(intent: Intent, folder: Path, name: str, *, has_new: bool, now_ms: int) -> Path:
    """A file of VRPs. Where rpki-client is there, ROAs are signed and it believes them; else the file says the same
    without proof."""
    wanted = [
        Vrp(ipaddress.ip_network(str(own.prefix)), own.roa_length, origin)
        for own in intent.prefixes
        for origin in _origins(intent, own.old_origin, has_new=has_new)
    ]
    file = folder / f"{name}.json"
    file.write_text(vrps.document(wanted))
    if not is_proven():
        return file
    place = folder / name
    authority.publish(place, wanted, now_ms=now_ms)
    return authority.validate(place, place / "out")


def is_proven() -> bool:
    """Whether ROAs go through a validator here."""
    return shutil.which("rpki-client", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin") is not None


def start(spaces: netns.Namespaces, folder: Path, environment: dict[str, str], files: dict[str, Path]) -> list[Path]:
    """Start the registry and a cache for each of `files` (namespace -> address and file). Returns their logs, in which
    a line of JSON says that they listen."""
    logs = [folder / "irr.said"]
    argv = [
        sys.executable,
        "-m",
        "havre.network.lab.servers.irr",
        "--listen",
        f"127.0.0.1:{IRR_PORT}",
        str(folder / "irr.db"),
    ]
    spaces.start("irr", "cust", argv, log=logs[0], environment=environment)
    for where, file in files.items():
        node, _, address = where.partition(" ")
        log = folder / f"rtr-{node}.said"
        argv = [sys.executable, "-m", "havre.network.lab.servers.rtr", "--listen", f"{address}:{RTR_PORT}", str(file)]
        spaces.start(f"rtr {node}", node, argv, log=log, environment=environment)
        logs.append(log)
    return logs


def is_listening(log: Path) -> bool:
    try:
        return "listening" in json.loads(log.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return False
