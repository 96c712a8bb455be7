"""phpenmod(8): the extensions that are unpacked are on, in every way to run PHP."""

from __future__ import annotations

import re

from havre.drivers.debian.tree import Tree

_PRIORITY = re.compile(r"^;\s*priority=(\d+)", re.M)


async def extensions(tree: Tree) -> None:
    """conf.d of each way to run PHP (cli, fpm, apache2), and its php.ini."""
    for home in tree.find("usr/lib/php/[0-9]*.[0-9]*"):
        version = home.name
        ways = [each.name for each in sorted(home.glob("sapi/*"))]
        if (template := tree.read(f"usr/lib/php/{version}/php.ini-production")) and "cli" not in ways:
            ways.append("cli")
        for way in ways:
            if template:
                tree.write(f"etc/php/{version}/{way}/php.ini", template)
        for file in tree.find(f"usr/share/php{version}-*/*/*.ini"):
            tree.write(f"etc/php/{version}/mods-available/{file.name}", file.read_text(errors="replace"))
        for file in tree.find(f"etc/php/{version}/mods-available/*.ini"):  # these, and what extensions brought
            found = _PRIORITY.search(file.read_text(errors="replace"))
            number = found.group(1) if found else "20"
            for way in ways:
                place = f"etc/php/{version}/{way}/conf.d/{number}-{file.name}"
                tree.link(place, f"/etc/php/{version}/mods-available/{file.name}")
