"""The trust store and the commands of Java."""

from __future__ import annotations

import hashlib
import re
import ssl
import struct

from havre.drivers.debian.tree import Tree

PASSWORD = "changeit"  # Java's own word for the store that everybody may read
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


async def trust_store(tree: Tree) -> None:
    """/etc/ssl/certs/java/cacerts out of the authorities, as ca-certificates-java's script makes it."""
    found = _PEM.findall(tree.read("etc/ssl/certs/ca-certificates.crt"))
    tree.write("etc/ssl/certs/java/cacerts", key_store([ssl.PEM_cert_to_DER_cert(each) for each in found]))


def key_store(certificates: list[bytes]) -> bytes:
    """A JKS store of trusted certificates.

    The form is in OpenJDK's sun.security.provider.JavaKeyStore: magic, version, entries (tag, alias, date, kind,
    certificate), then SHA-1 over the password in UTF-16, a phrase and all that came before.
    """
    content = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
    for number, each in enumerate(certificates):
        content += struct.pack(">I", 2) + _text(f"authority-{number}") + struct.pack(">Q", 0)
        content += _text("X.509") + struct.pack(">I", len(each)) + each
    seal = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + content, usedforsecurity=False)
    return content + seal.digest()


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


async def commands(tree: Tree) -> None:
    """The newest Java's programs in /usr/bin."""
    for home in reversed(tree.find("usr/lib/jvm/java-*-openjdk-*")):
        for program in sorted(home.glob("bin/*")):
            tree.link(f"usr/bin/{program.name}", f"/{program.relative_to(tree.root)}")
        tree.link("usr/lib/jvm/default", home.name)
