"""The internal certificate authority: one root, made at the first start, and leaves that it signs.

The root's key never leaves its file (0600) and stays the same for ever; its certificate is made anew when it has not
begun or ends soon. Whoever trusts an older one believes what the key signs until that ends: nobody notices. A root says
that it began long ago, so that one which was made while the clock was ahead is good when the clock is right. A leaf
lives 90 days; it costs less than a millisecond, so leaves are not kept in the database.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from havre.base.errors import UnavailableError
from havre.base.moments import WRITTEN_MS
from havre.drivers.x509.files import key_file, root_file, write
from havre.drivers.x509.model import LEAF_DAYS, NEVER, Root

DAY_MS = 86_400_000
ROOT_DAYS = 3650
ROOT_BEGIN_MS = 0  # whatever the clock of a machine shows, it is later
LONGEST_DAYS = 800  # a client of Apple's takes no leaf of 825 days and more
_PEM = serialization.Encoding.PEM
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Havre Local Root")])


@dataclass(frozen=True)
class Authority:
    """`certificate` signs with `key`. Made by `open_authority`."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def leaf(self, names: Sequence[str], *, now: int, since: int = NEVER, until: int = 0) -> tuple[str, int]:
        """A certificate for `names` with its key, PEM in one text; and the moment at which it ends.

        since, until: when it begins at the latest and ends at the earliest, where `now` may be wrong."""
        begin = min(now, since)
        key = ec.generate_private_key(ec.SECP256R1())
        wanted = max(now + LEAF_DAYS * DAY_MS, min(until, now + LONGEST_DAYS * DAY_MS))
        end = min(wanted, int(self.certificate.not_valid_after_utc.timestamp() * 1000))
        common = [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= 64 else []
        made = (
            x509.CertificateBuilder(self.certificate.subject, x509.Name(common), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_moment(begin - DAY_MS // 24))
            .not_valid_after(_moment(end))
            .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), critical=not common)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(_PEM).decode() + _private(key), end


def open_authority(folder: Path, *, now: int) -> Authority:
    """The authority in `folder`, made when there is none; its root made anew when that is not good at `now`.

    Raises UnavailableError when it cannot be read."""
    crt, key = root_file(folder), key_file(folder)
    if not crt.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = ec.generate_private_key(ec.SECP256R1())
        write(key, _private(fresh), durably=True)
        return _with_root(crt, fresh, _NAME, now=now)
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(crt.read_bytes())
    except (OSError, ValueError) as cause:
        raise UnavailableError("the internal certificate authority cannot be read", folder=str(folder)) from cause
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    life = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not Root("", *(int(each.timestamp()) * 1000 for each in life)).is_good(now):
        return _with_root(crt, private, certificate.subject, now=now)
    return Authority(certificate, private)


def _with_root(file: Path, key: ec.EllipticCurvePrivateKey, name: x509.Name, *, now: int) -> Authority:
    """The authority of `key` with a new root, which is written to `file`."""
    made = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(ROOT_BEGIN_MS))
        .not_valid_after(_moment(max(now, WRITTEN_MS) + ROOT_DAYS * DAY_MS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write(file, made.public_bytes(_PEM).decode(), durably=True, mode=0o644)
    return Authority(made, key)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(_PEM, kind, serialization.NoEncryption()).decode()


def _moment(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms // 1000, datetime.UTC)
