"""An authority of RPKI for the laboratory: a trust anchor and ROAs that validators believe, without a network.

    python -m havre.network.lab.servers.authority --folder FOLDER vrps.json
    python -m havre.network.lab.servers.authority --folder FOLDER vrps.json --validate OUT

Makes in FOLDER a trust anchor (key kept, so that its locator stays), and a publication point with a ROA for each origin
(RFC 9582), a manifest (RFC 9286) and a revocation list, all signed (RFC 6487, RFC 6488): the cache that rpki-client
reads with `-n`. `--validate` has rpki-client do so and leaves `OUT/json`, which is what our RTR server and StayRTR
serve. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import hashlib
import ipaddress
import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from havre.base.errors import InvalidError, UnavailableError
from havre.kernel.clock import SystemClock
from havre.network.lab.servers import der
from havre.network.registries import vrps
from havre.network.registries.vrps import Network, Vrp

NAME = "havre-lab"
HOST = "rpki.lab.invalid"
BASE = f"rsync://{HOST}/repo/"
VALID_DAYS = 7
VALIDATE_S = 120
SHA256 = "2.16.840.1.101.3.4.2.1"
SHA256_RSA = der.seq(der.oid("1.2.840.113549.1.1.11"), der.null())
ROA, MANIFEST = "1.2.840.113549.1.9.16.1.24", "1.2.840.113549.1.9.16.1.26"
Key = rsa.RSAPrivateKey


@dataclass(frozen=True)
class Times:
    """From when until when everything that is signed now counts; `number` grows with each signing."""

    now: datetime.datetime

    @property
    def begin(self) -> datetime.datetime:
        return self.now - datetime.timedelta(hours=1)

    @property
    def end(self) -> datetime.datetime:
        return self.now + datetime.timedelta(days=VALID_DAYS)

    @property
    def number(self) -> int:
        return int(self.now.timestamp())


@dataclass(frozen=True)
class Shape:
    """What sets one certificate apart: its name, what it may be used for, where it points, its resources."""

    name: str
    is_authority: bool
    access: Sequence[tuple[str, str]]
    addresses: bytes
    systems: bytes = b""
    extra: Sequence[bytes] = field(default_factory=tuple)


def publish(folder: Path, found: Iterable[Vrp], *, now_ms: int) -> dict[str, object]:
    """Sign ROAs for exactly these VRPs; the paths of the locator and the cache, and how many ROAs.

    A VRP that is not there any more is one that no ROA says: the publication point is made anew and put in its place.
    """
    times = Times(datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC))
    folder.mkdir(parents=True, exist_ok=True)
    key = _kept_key(folder / "ta.key")
    anchor = _certificate(key, key, _anchor_shape(), times)
    files = _objects(key, found, times)
    cache, fresh = folder / "cache", folder / "cache.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for place in (fresh / HOST / "repo", fresh / "ta" / NAME):
        place.mkdir(parents=True)
        (place / "ta.cer").write_bytes(anchor)
    for name, content in files.items():
        (fresh / HOST / "repo" / name).write_bytes(content)
    shutil.rmtree(cache, ignore_errors=True)
    fresh.rename(cache)
    locator = folder / f"{NAME}.tal"
    spki = base64.encodebytes(_spki(key)).decode()
    locator.write_text(f"{BASE}ta.cer\n\n{spki}")
    return {"tal": str(locator), "cache": str(cache), "roas": sum(name.endswith(".roa") for name in files)}


def validate(folder: Path, out: Path) -> Path:
    """Have rpki-client believe what `publish` made; the file of VRPs that it wrote.

    Raises UnavailableError when it is not installed or fails. As root it becomes a user of its own, who must be able to
    read the cache: it is given to them.
    """
    program = shutil.which("rpki-client", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise UnavailableError("rpki-client is not installed, so no ROA can be validated")
    out.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        _give((folder / "cache", out))
    argv = [program, "-n", "-j", "-d", str(folder / "cache"), "-t", str(folder / f"{NAME}.tal"), str(out)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=VALIDATE_S)
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise UnavailableError("rpki-client did not finish") from cause
    if done.returncode or not (out / "json").exists():
        raise UnavailableError(f"rpki-client failed: {done.stderr.strip()[-500:]}")
    return out / "json"


def _give(trees: Iterable[Path]) -> None:
    try:
        user = pwd.getpwnam("_rpki-client")
    except KeyError as cause:
        raise UnavailableError("rpki-client's user _rpki-client does not exist") from cause
    for tree in trees:
        for each in (tree, *tree.rglob("*")):
            os.chown(each, user.pw_uid, user.pw_gid)


def _objects(key: Key, found: Iterable[Vrp], times: Times) -> dict[str, bytes]:
    """The files of the publication point: ROAs, the revocation list, and the manifest that lists both."""
    by_origin: dict[int, list[Vrp]] = {}
    for each in found:
        by_origin.setdefault(each.asn, []).append(each)
    files = {f"{NAME}.crl": _revocations(key, times)}
    for asn, said in sorted(by_origin.items()):
        name = f"AS{asn}.roa"
        shape = Shape(f"AS{asn}", False, [("1.3.6.1.5.5.7.48.11", BASE + name)], _addresses([v.prefix for v in said]))
        files[name] = _signed(key, ROA, _attestation(asn, said), shape, times)
    name = f"{NAME}.mft"
    inherited = der.seq(*(der.seq(der.octets(_afi(family)), der.null()) for family in (4, 6)))
    shape = Shape("manifest", False, [("1.3.6.1.5.5.7.48.11", BASE + name)], inherited, der.null())
    files[name] = _signed(key, MANIFEST, _manifest(files, times), shape, times)
    return files


def _attestation(asn: int, said: Sequence[Vrp]) -> bytes:
    """RouteOriginAttestation, its addresses in canonical order (RFC 9582, 4.3.3)."""
    blocks = []
    for family in (4, 6):
        of_family = (v for v in said if v.prefix.version == family)
        own = {(int(v.prefix.network_address), v.prefix.prefixlen, v.max_length): v for v in of_family}
        ordered = [own[place] for place in sorted(own)]
        addresses = [der.seq(_bits(v.prefix), *_longest(v)) for v in ordered]
        if addresses:
            blocks.append(der.seq(der.octets(_afi(family)), der.seq(*addresses)))
    return der.seq(der.integer(asn), der.seq(*blocks))


def _longest(vrp: Vrp) -> list[bytes]:
    """maxLength, left out where it says nothing."""
    return [der.integer(vrp.max_length)] if vrp.max_length != vrp.prefix.prefixlen else []


def _manifest(files: dict[str, bytes], times: Times) -> bytes:
    listed = [
        der.seq(der.ia5(name), der.bits(hashlib.sha256(content).digest())) for name, content in sorted(files.items())
    ]
    begin, end = der.generalized(times.begin), der.generalized(times.end)
    return der.seq(der.integer(times.number), begin, end, der.oid(SHA256), der.seq(*listed))


def _signed(key: Key, kind: str, content: bytes, shape: Shape, times: Times) -> bytes:
    """A signed object (RFC 6488): the content, the certificate of a key that signs it alone, and the signature."""
    own = _new_key()
    certificate = _certificate(own, key, shape, times)
    digest = der.seq(der.oid(SHA256))
    attributes = [
        der.seq(der.oid("1.2.840.113549.1.9.3"), der.set_of(der.oid(kind))),
        der.seq(der.oid("1.2.840.113549.1.9.4"), der.set_of(der.octets(hashlib.sha256(content).digest()))),
        der.seq(der.oid("1.2.840.113549.1.9.5"), der.set_of(der.utc(times.now))),
    ]
    signature = own.sign(der.set_of(*attributes), padding.PKCS1v15(), hashes.SHA256())
    signer = der.seq(
        der.integer(3),
        der.primitive(0, _key_id(own)),
        digest,
        der.explicit(0, b"".join(sorted(attributes))),
        der.seq(der.oid("1.2.840.113549.1.1.1"), der.null()),
        der.octets(signature),
    )
    body = der.seq(
        der.integer(3),
        der.set_of(digest),
        der.seq(der.oid(kind), der.explicit(0, der.octets(content))),
        der.explicit(0, certificate),
        der.set_of(signer),
    )
    return der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, body))


def _certificate(subject: Key, issuer: Key, shape: Shape, times: Times) -> bytes:
    """A resource certificate (RFC 6487), issued by the anchor; by itself where both keys are the same."""
    is_anchor = subject is issuer
    usage = der.bits(b"\x06", unused=1) if shape.is_authority else der.bits(b"\x80", unused=7)
    extensions = [_extension("2.5.29.19", der.seq(der.boolean(True)), critical=True)] if shape.is_authority else []
    extensions += [
        _extension("2.5.29.14", der.octets(_key_id(subject))),
        _extension("2.5.29.35", der.seq(der.primitive(0, _key_id(issuer)))),
        _extension("2.5.29.15", usage, critical=True),
    ]
    if not is_anchor:
        crl = der.explicit(0, der.explicit(0, der.primitive(6, f"{BASE}{NAME}.crl".encode())))
        extensions.append(_extension("2.5.29.31", der.seq(der.seq(crl))))
        extensions.append(_extension("1.3.6.1.5.5.7.1.1", _access([("1.3.6.1.5.5.7.48.2", f"{BASE}ta.cer")])))
    extensions.append(_extension("1.3.6.1.5.5.7.1.11", _access(shape.access)))
    extensions.append(_extension("2.5.29.32", der.seq(der.seq(der.oid("1.3.6.1.5.5.7.14.2"))), critical=True))
    extensions.append(_extension("1.3.6.1.5.5.7.1.7", shape.addresses, critical=True))
    if shape.systems:
        extensions.append(_extension("1.3.6.1.5.5.7.1.8", der.seq(der.explicit(0, shape.systems)), critical=True))
    body = der.seq(
        der.explicit(0, der.integer(2)),
        der.integer(int.from_bytes(hashlib.sha256(_spki(subject)).digest()[:8], "big") >> 1 | 1),
        SHA256_RSA,
        _name(NAME),
        der.seq(der.utc(times.begin), der.utc(times.end)),
        _name(NAME if is_anchor else shape.name),
        _spki(subject),
        der.explicit(3, der.seq(*extensions)),
    )
    return _with_signature(issuer, body)


def _revocations(key: Key, times: Times) -> bytes:
    """A list that revokes nothing."""
    number = der.integer(times.number)
    extensions = [
        _extension("2.5.29.35", der.seq(der.primitive(0, _key_id(key)))),
        _extension("2.5.29.20", number),
    ]
    body = der.seq(
        der.integer(1),
        SHA256_RSA,
        _name(NAME),
        der.utc(times.begin),
        der.utc(times.end),
        der.explicit(0, der.seq(*extensions)),
    )
    return _with_signature(key, body)


def _with_signature(key: Key, body: bytes) -> bytes:
    return der.seq(body, SHA256_RSA, der.bits(key.sign(body, padding.PKCS1v15(), hashes.SHA256())))


def _anchor_shape() -> Shape:
    """Everything there is."""
    access = [("1.3.6.1.5.5.7.48.5", BASE), ("1.3.6.1.5.5.7.48.10", f"{BASE}{NAME}.mft")]
    everything = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    systems = der.seq(der.seq(der.integer(0), der.integer(2**32 - 1)))
    return Shape(NAME, True, access, _addresses(everything), systems)


def _addresses(prefixes: Sequence[Network]) -> bytes:
    """IPAddrBlocks in canonical form: sorted, joined, ranges only where no prefix will do (RFC 3779, 2.2.3)."""
    families = []
    for family in (4, 6):
        runs: list[list[int]] = []
        for each in sorted((p for p in prefixes if p.version == family), key=lambda p: int(p.network_address)):
            first, last = int(each.network_address), int(each.broadcast_address)
            if runs and first <= runs[-1][1] + 1:
                runs[-1][1] = max(runs[-1][1], last)
            else:
                runs.append([first, last])
        if runs:
            parts = (_range(first, last, family) for first, last in runs)
            families.append(der.seq(der.octets(_afi(family)), der.seq(*parts)))
    return der.seq(*families)


def _range(first: int, last: int, family: int) -> bytes:
    kind = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
    (whole, *more) = ipaddress.summarize_address_range(kind(first), kind(last))
    if not more:
        return _bits(whole)
    width = 32 if family == 4 else 128
    zeros = (first & -first).bit_length() - 1 if first else width
    ones = (~last & (last + 1)).bit_length() - 1
    return der.seq(_cut(first, width - zeros, width), _cut(last >> ones << ones, width - ones, width))


def _bits(prefix: Network) -> bytes:
    return _cut(int(prefix.network_address), prefix.prefixlen, prefix.max_prefixlen)


def _cut(address: int, length: int, width: int) -> bytes:
    """The first bits of an address as a BIT STRING."""
    size = (length + 7) // 8
    return der.bits(address.to_bytes(width // 8, "big")[:size], unused=size * 8 - length)


def _afi(family: int) -> bytes:
    return b"\x00\x01" if family == 4 else b"\x00\x02"


def _access(found: Iterable[tuple[str, str]]) -> bytes:
    return der.seq(*(der.seq(der.oid(method), der.primitive(6, uri.encode())) for method, uri in found))


def _extension(name: str, content: bytes, *, critical: bool = False) -> bytes:
    return der.seq(der.oid(name), *([der.boolean(True)] if critical else []), der.octets(content))


def _name(text: str) -> bytes:
    return der.seq(der.set_of(der.seq(der.oid("2.5.4.3"), der.printable(text))))


def _spki(key: Key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: Key) -> bytes:
    """SHA-1 of the key's own bits (RFC 6487, 4.8.2); it names, it proves nothing."""
    bits = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return hashlib.sha1(bits, usedforsecurity=False).digest()


def _new_key() -> Key:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _kept_key(file: Path) -> Key:
    if file.exists():
        kept = serialization.load_pem_private_key(file.read_bytes(), None)
        if not isinstance(kept, rsa.RSAPrivateKey):
            raise InvalidError(f"{file.name} is not an RSA key")
        return kept
    made = _new_key()
    kind, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(made.private_bytes(serialization.Encoding.PEM, kind, none))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description="an authority of RPKI for the laboratory")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--validate", type=Path, metavar="OUT")
    parser.add_argument("vrps", type=Path)
    asked = parser.parse_args()
    told = publish(asked.folder, vrps.read(asked.vrps), now_ms=SystemClock().now())
    if asked.validate:
        told["json"] = str(validate(asked.folder, asked.validate))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
