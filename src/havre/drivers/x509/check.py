"""Is what somebody uploads a certificate that can be served: key, chain, dates and names, before anything is kept."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from havre.base.errors import InvalidError
from havre.base.secret import Secret
from havre.drivers.x509.model import Checked

MOST_CERTIFICATES = 10
RSA_BITS = 2048
_PEM = serialization.Encoding.PEM


def check(certificate: str, key: str, *, now: int) -> Checked:
    """Check PEM texts; both may hold more than they should, such as one bundle given twice.

    Raises InvalidError with what is wrong and what to do.
    """
    private = _key(key)
    found = _certificates(certificate)
    chain = _chain(_leaf(found, private), found)
    for each in chain:
        _check_one(each, now)
    names = _names(chain[0])
    issuer = _shown(chain[0].issuer)
    return Checked(
        names=names,
        issuer=issuer,
        not_before=max(_ms(each.not_valid_before_utc) for each in chain),
        not_after=min(_ms(each.not_valid_after_utc) for each in chain),
        fingerprint=hashlib.sha256(chain[0].public_bytes(serialization.Encoding.DER)).hexdigest(),
        chain="".join(each.public_bytes(_PEM).decode() for each in chain),
        key=Secret(_plain(private)),
        note=_note(chain),
    )


def _key(text: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    begin = text.find("-----BEGIN", 0)
    blocks = [part for part in text[begin:].split("-----BEGIN ") if "PRIVATE KEY-----" in part.split("\n", 1)[0]]
    if begin < 0 or not blocks:
        raise InvalidError("Invalid certificate: there is no private key (PEM, -----BEGIN PRIVATE KEY-----)")
    try:
        found = serialization.load_pem_private_key(("-----BEGIN " + blocks[0]).encode(), None)
    except TypeError as cause:
        raise InvalidError("Invalid certificate: the private key is encrypted; upload it without a password") from cause
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise InvalidError("Invalid certificate: the private key cannot be read") from cause
    if isinstance(found, rsa.RSAPrivateKey) and found.key_size >= RSA_BITS:
        return found
    if isinstance(found, ec.EllipticCurvePrivateKey) and found.curve.name in ("secp256r1", "secp384r1", "secp521r1"):
        return found
    raise InvalidError(f"Invalid certificate: the key must be RSA of {RSA_BITS} bits or more, or on P-256 to P-521")


def _certificates(text: str) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError as cause:
        raise InvalidError("Invalid certificate: no certificate in it (PEM, -----BEGIN CERTIFICATE-----)") from cause
    if len(found) > MOST_CERTIFICATES:
        raise InvalidError(f"Invalid certificate: more than {MOST_CERTIFICATES} certificates in one chain")
    return list({each.fingerprint(hashes.SHA256()): each for each in found}.values())


def _leaf(found: Sequence[x509.Certificate], key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> x509.Certificate:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    ours = key.public_key().public_bytes(serialization.Encoding.DER, kind)
    for each in found:
        if each.public_key().public_bytes(serialization.Encoding.DER, kind) == ours:
            return each
    raise InvalidError(f"Invalid certificate: the key does not belong to {_shown(found[0].subject)!r}")


def _chain(leaf: x509.Certificate, found: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """From the leaf upwards, each signed by the next; a root is left out, visitors have it or will not believe it."""
    chain, rest = [leaf], [each for each in found if each is not leaf]
    while rest:
        above = next((each for each in rest if _is_signed_by(chain[-1], each)), None)
        if above is None:
            raise InvalidError(
                f"Invalid certificate: {_shown(rest[0].subject)!r} does not sign {_shown(chain[-1].subject)!r}; "
                "the chain has a certificate that does not belong to it, or one is missing between the two"
            )
        chain.append(above)
        rest = [each for each in rest if each is not above]
    return [chain[0], *(each for each in chain[1:] if each.subject != each.issuer)]


def _is_signed_by(child: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _check_one(each: x509.Certificate, now: int) -> None:
    name = _shown(each.subject)
    if _ms(each.not_valid_after_utc) <= now:
        raise InvalidError(f"Invalid certificate: {name!r} ended on {_day(each.not_valid_after_utc)}")
    if _ms(each.not_valid_before_utc) > now:
        raise InvalidError(f"Invalid certificate: {name!r} is not valid before {_day(each.not_valid_before_utc)}")
    algorithm = each.signature_hash_algorithm
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        raise InvalidError(f"Invalid certificate: the signature of {name!r} is one that browsers refuse")


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(uses):
            raise InvalidError("Invalid certificate: it is not meant for servers (extended key usage)")
    except x509.ExtensionNotFound:
        pass
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as cause:
        raise InvalidError("Invalid certificate: it names no host (subject alternative names)") from cause
    names = [each.lower().rstrip(".") for each in found.get_values_for_type(x509.DNSName)]
    addresses = [str(each) for each in found.get_values_for_type(x509.IPAddress)]
    if not names:
        raise InvalidError("Invalid certificate: it names no host (subject alternative names)")
    return tuple(dict.fromkeys([*names, *addresses]))


def _note(chain: Sequence[x509.Certificate]) -> str:
    """Whether this host's own list of authorities has the one above the chain, by its name."""
    above = [str(each.value) for each in chain[-1].issuer]
    for known in ssl.create_default_context().get_ca_certs():
        subject = [value for part in known.get("subject", ()) for _, value in part]  # type: ignore[str-unpack]
        if sorted(subject) == sorted(above):
            return ""
    return (
        f"{_shown(chain[-1].issuer)!r} is not among this machine's certificate authorities: "
        "either visitors know it as one of their own, or an intermediate certificate is missing"
    )


def _plain(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(_PEM, kind, serialization.NoEncryption()).decode()


def _shown(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()[:80] or "a certificate without a name"


def _ms(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _day(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d")
