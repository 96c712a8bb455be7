"""The proxy that sandboxes leave through: one for an installation, however many ask for it at once."""

from __future__ import annotations

import ipaddress
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from havre.drivers import identity, wayout

SANDBOXES = ipaddress.IPv4Network("10.213.0.0/16")


@pytest.fixture
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="hvp-", dir="/tmp"))
    try:
        yield made
    finally:
        wayout.stop_proxy(made / "proxy.pid")
        shutil.rmtree(made)


def test_units_that_start_together_have_one_proxy(place: Path) -> None:
    def ensure(_: int) -> identity.Identity:
        return wayout.ensure_proxy(place / "proxy.sock", place / "proxy.pid", sandboxes=SANDBOXES)

    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(ensure, range(6)))
    assert len(found) == 1 and identity.is_alive(found.pop())


def test_a_proxy_whose_socket_is_gone_is_replaced_and_does_not_stay(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ensure() -> identity.Identity:
        return wayout.ensure_proxy(place / "proxy.sock", place / "proxy.pid", sandboxes=SANDBOXES)

    first = ensure()
    assert ensure() == first and (place / "proxy.sock").exists()
    (place / "proxy.sock").unlink()
    monkeypatch.setattr(wayout, "PROXY_START_S", 0.1)
    assert ensure() != first and not identity.is_alive(first)
