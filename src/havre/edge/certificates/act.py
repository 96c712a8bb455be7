"""The files of certificates. `<run>/certs/<host>.pem` is a symlink to one of `<data>/edge/certificates`, all 0600.

The text of a link says what is shown: `<id>.pem` of a certificate in the database, `internal-<names>-<end>-<begin>.pem`
of a leaf of the internal authority. Every change is one rename: a handshake reads the old certificate or the new one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from havre.base.secret import Secret
from havre.drivers.x509 import Authority, write
from havre.edge.certificates.model import Certificate, Site

DAY_MS = 86_400_000
RENEW_DAYS = 30  # before its end a leaf of the internal authority is made again


@dataclass(frozen=True)
class Places:
    """`shown`: where the proxy looks; `kept`: where the files are; `tokens`: what authorities ask for."""

    shown: Path
    kept: Path
    tokens: Path

    def prepare(self) -> None:
        for each in (self.shown, self.kept, self.tokens):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)


def seen(places: Places, names: Iterable[str] | None = None) -> dict[str, str]:
    """What each link shows, by file name; the empty text for what is no link of ours. names: those alone."""
    found = {}
    links = [places.shown / each for each in names] if names is not None else list(places.shown.iterdir())
    for each in links:
        try:
            target = Path(os.readlink(each))
        except FileNotFoundError:
            continue
        except OSError:
            target = Path()
        found[each.name] = target.name if target.parent == places.kept and (places.kept / target.name).exists() else ""
    return found


Wanted = Mapping[Site, tuple[Certificate | None, tuple[str, ...]]]
"""The certificate of each site, and the names of the internal leaf that it has without one."""


def unwritten(wanted: Wanted, now_shown: Mapping[str, str]) -> frozenset[str]:
    """The certificates whose files have to be written for `wanted`."""
    shown = {(site.file, each.id) for site, (each, _) in wanted.items() if each is not None}
    return frozenset(id for file, id in shown if now_shown.get(file) != f"{id}.pem")


def show(
    places: Places,
    wanted: Wanted,
    now_shown: Mapping[str, str],
    *,
    material: Mapping[str, Secret],
    authority: Authority,
    now: int,
    doubted: int,
) -> int:
    """Have each site show its certificate, or an internal leaf; how many links were changed.

    doubted: what the time is if the clock has jumped ahead, see `kernel.aging`: a leaf is good at both moments.
    What needs no new leaf comes first. Raises UnavailableError when none can be made."""
    for id, text in material.items():
        write(places.kept / f"{id}.pem", text.reveal(), durably=True)
    changed = 0
    fresh: dict[tuple[str, ...], str] = {}
    for site, (certificate, names) in sorted(wanted.items(), key=lambda each: each[1][0] is None):
        has = now_shown.get(site.file, "")
        if certificate is not None:
            target = f"{certificate.id}.pem"
        elif _is_good_leaf(has, names, now):
            continue
        else:
            target = fresh.get(names) or _make_leaf(places, names, authority, now=now, begin=min(now, doubted), has=has)
            fresh[names] = target
        if has != target:
            _link(places, site.file, target)
            changed += 1
    return changed


def _make_leaf(places: Places, names: tuple[str, ...], authority: Authority, *, now: int, begin: int, has: str) -> str:
    """One that is good for visitors with another clock: it lasts no less than the one that it replaces."""
    text, end = authority.leaf(names, now=now, since=begin, until=end_of_leaf(has) or 0)
    target = f"internal-{_names_tag(names)}-{end}-{begin}.pem"
    write(places.kept / target, text)
    return target


def _names_tag(names: tuple[str, ...]) -> str:
    """What tells leaves of different names apart in a file's name."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _is_good_leaf(target: str, names: tuple[str, ...], now: int) -> bool:
    """It does not end soon, and has begun: one that has not was made by a clock that was ahead."""
    end, begin = end_of_leaf(target), target.removesuffix(".pem").split("-")[3:]
    if end is None or target.split("-")[1] != _names_tag(names):
        return False
    return end - now > RENEW_DAYS * DAY_MS and all(int(each) <= now for each in begin)


def end_of_leaf(target: str) -> int | None:
    """When a leaf of the internal authority ends; None for what is none."""
    parts = target.removesuffix(".pem").split("-")
    is_leaf = len(parts) in (3, 4) and parts[0] == "internal" and all(each.isdigit() for each in parts[2:])
    return int(parts[2]) if is_leaf else None


def _link(places: Places, name: str, target: str) -> None:
    fresh = places.shown.parent / "certificate.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(places.kept / target)
    fresh.replace(places.shown / name)


def hide(places: Places, name: str) -> None:
    (places.shown / name).unlink(missing_ok=True)


def collect(places: Places) -> int:
    """Remove the files that no link leads to; how many."""
    used = {Path(os.readlink(each)).name for each in places.shown.iterdir() if each.is_symlink()}
    gone = [each for each in places.kept.iterdir() if each.name not in used]
    for each in gone:
        each.unlink(missing_ok=True)
    return len(gone)


def put_token(places: Places, token: str, text: str) -> None:
    write(places.tokens / token, text)


def drop_token(places: Places, token: str) -> None:
    (places.tokens / token).unlink(missing_ok=True)
