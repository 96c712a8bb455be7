"""Users, places, certificate authorities, the loader's cache: what every stack has."""

from __future__ import annotations

import re

from havre.drivers.debian.tree import Tree

OWN_USER = "bas:x:1000:1000:bas:/home/bas:/bin/sh\n"
OWN_GROUP = "bas:x:1000:\n"
SHOWN = ("hosts", "hostname", "resolv.conf", "nsswitch.conf")  # each unit has its own in their place
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.S)


async def people(tree: Tree) -> None:
    """base-passwd's users and groups, and the one that apps run as."""
    for name, own in (("passwd", OWN_USER), ("group", OWN_GROUP)):
        master = tree.read(f"usr/share/base-passwd/{name}.master") or (
            "root:x:0:0:root:/root:/usr/sbin/nologin\n" if name == "passwd" else "root:x:0:\n"
        )
        tree.write(f"etc/{name}", master.replace("root:*:", "root:x:") + own)
    for name in ("shadow", "gshadow"):
        if tree.has(f"etc/{name}"):
            (tree.root / "etc" / name).unlink()


async def places(tree: Tree) -> None:
    """Folders and links that base-files' script and the system's start would make."""
    for name in ("etc", "var/tmp", "var/log", "var/cache", "var/lib", "usr/local/bin"):
        tree.folder(name)
    for name, text in (("var/run", "/run"), ("var/lock", "/run/lock")):
        if (tree.root / name).is_dir() and not any((tree.root / name).iterdir()):
            (tree.root / name).rmdir()
        tree.link(name, text)
    tree.link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
    tree.link("etc/mtab", "/proc/self/mounts")
    for name in SHOWN:
        tree.write(f"etc/{name}", "")
    if not tree.has("etc/os-release"):
        tree.link("etc/os-release", "../usr/lib/os-release")


async def authorities(tree: Tree) -> None:
    """update-ca-certificates(8): one file with all, and one each under the name that OpenSSL looks for."""
    parts = []
    for file in tree.find("usr/share/ca-certificates/**/*.crt"):
        text = "".join(_CERTIFICATE.findall(file.read_text(errors="replace")))
        if text:
            parts.append(text)
            tree.link(f"etc/ssl/certs/{file.stem}.pem", f"/{file.relative_to(tree.root)}")
    tree.write("etc/ssl/certs/ca-certificates.crt", "".join(parts))
    if tree.has("usr/bin/openssl"):
        await tree.run(["openssl", "rehash", "/etc/ssl/certs"], may_fail=True)


async def loader_cache(tree: Tree) -> None:
    """The cache of ld.so(8), by the tree's own ldconfig."""
    if tree.has("usr/sbin/ldconfig"):
        await tree.run(["/usr/sbin/ldconfig"])
        (tree.root / "var/cache/ldconfig/aux-cache").unlink(missing_ok=True)  # for its next run, and for root alone
