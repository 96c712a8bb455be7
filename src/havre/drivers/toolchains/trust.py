"""The certificate authorities as Java reads them: a key store made from the bundle that everybody else reads."""

from __future__ import annotations

import hashlib
import re
import ssl
from pathlib import Path

from havre.base.errors import UnavailableError
from havre.drivers.debian.fixes.java import key_store
from havre.drivers.toolchains.place import put, scratch

HOST_CA = Path("/etc/ssl/certs/ca-certificates.crt")
TARGET = "/opt/havre/trust"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


def trust_store(root: Path, bundle: Path) -> Path:
    """A directory with `cacerts`, made from the PEM certificates of `bundle`; the same bundle gives the same one."""
    try:
        text = bundle.read_text(errors="replace")
    except OSError as cause:
        raise UnavailableError(f"the certificate authorities in {bundle} cannot be read") from cause
    place = root / f"trust-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if not place.exists():
        with scratch(root) as folder:
            fresh = folder / "trust"
            fresh.mkdir()
            (fresh / "cacerts").write_bytes(key_store([ssl.PEM_cert_to_DER_cert(each) for each in _PEM.findall(text)]))
            put(fresh, place)
    return place
