"""ROAs of the laboratory's authority, believed by validators that other people wrote, and disbelieved when touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from havre.base.errors import UnavailableError
from havre.network.lab.servers import authority, der
from havre.network.registries import vrps
from havre.network.registries.vrps import Vrp
from tests.decide.test_decide_prefix_lists import N

FOUND = (
    Vrp(N("198.51.100.0/24"), 24, 64500),
    Vrp(N("198.51.100.0/24"), 24, 64510),
    Vrp(N("2001:db8:100::/48"), 48, 64510),
    Vrp(N("203.0.113.0/25"), 26, 64511),
    Vrp(N("203.0.113.128/26"), 26, 64511),
    Vrp(N("2001:db8:200::/39"), 48, 64511),
    Vrp(N("192.0.2.0/24"), 24, 0),
)
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin"
needs_rpki_client = pytest.mark.skipif(shutil.which("rpki-client", path=SBIN) is None, reason="rpki-client is not here")
needs_fort = pytest.mark.skipif(shutil.which("fort", path=SBIN) is None, reason="FORT is not here")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place that the user whom rpki-client becomes can reach."""
    made = Path(tempfile.mkdtemp(prefix="roa"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def said(found: object) -> set[tuple[str, int, int]]:
    return {(str(each.prefix), each.max_length, each.asn) for each in found}  # type: ignore[attr-defined]


def believed(folder: Path) -> set[tuple[str, int, int]]:
    """What rpki-client believes: nothing where it gives up (8.2 ends with signal 11 at a manifest that is not signed)."""
    try:
        return said(vrps.read(authority.validate(folder / "a", folder / "out")))
    except UnavailableError as error:
        assert "rpki-client failed" in error.message
        return set()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@needs_rpki_client
def test_rpki_client_believes_the_roas_and_no_others(folder: Path) -> None:
    authority.publish(folder / "a", FOUND, now_ms=now_ms())
    assert said(vrps.read(authority.validate(folder / "a", folder / "out"))) == said(FOUND)
    locator = (folder / "a" / "havre-lab.tal").read_text()
    told = authority.publish(folder / "a", FOUND[:1], now_ms=now_ms())
    assert told["roas"] == 1 and (folder / "a" / "havre-lab.tal").read_text() == locator
    assert said(vrps.read(authority.validate(folder / "a", folder / "out"))) == said(FOUND[:1])


@needs_rpki_client
@pytest.mark.parametrize("name", ["AS64510.roa", "havre-lab.mft"])
def test_rpki_client_does_not_believe_what_was_touched(folder: Path, name: str) -> None:
    authority.publish(folder / "a", FOUND, now_ms=now_ms())
    (file,) = (folder / "a" / "cache").rglob(name)
    content = bytearray(file.read_bytes())
    content[-20] ^= 1  # in the signature
    file.write_bytes(content)
    assert believed(folder) == set()


@needs_rpki_client
def test_rpki_client_does_not_believe_what_is_over(folder: Path) -> None:
    authority.publish(folder / "a", FOUND, now_ms=now_ms() - 9 * 86_400_000)
    assert believed(folder) == set()


@needs_fort
def test_fort_believes_the_same(folder: Path) -> None:
    authority.publish(folder / "a", FOUND, now_ms=now_ms())
    argv = ["fort", "--mode=standalone", "--work-offline=true", f"--tal={folder}/a/havre-lab.tal"]
    argv += [f"--local-repository={folder}/a/cache", f"--output.roa={folder}/fort.csv"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env={"PATH": SBIN})
    assert (folder / "fort.csv").exists(), done.stderr[-2000:]
    assert said(vrps.read(folder / "fort.csv")) == said(FOUND), done.stderr[-2000:]


def test_der_has_one_form() -> None:
    assert (
        der.integer(0).hex() == "020100" and der.integer(127).hex() == "02017f" and der.integer(128).hex() == "02020080"
    )
    assert der.integer(2**32 - 1).hex() == "020500ffffffff"
    assert der.oid("1.2.840.113549.1.1.11").hex() == "06092a864886f70d01010b"
    assert der.octets(b"x" * 200)[:3].hex() == "0481c8" and der.octets(b"x" * 300)[:4].hex() == "0482012c"
