"""Writes docs/reference/runtimes.md from the runtimes and from what was proven of them: `make prove`.

    python tools/runtimes_page.py            write the page
    python tools/runtimes_page.py --check    say whether it is what it should be

The proofs stand in docs/reference/runtimes.json, one for each row of the conformance suite, written when a row has gone
through the stock command line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.room.runtime_suite import EXAMPLES, ROWS, Row

from havre.apps import runtimes

PROOFS = ROOT / "docs" / "reference" / "runtimes.json"
PAGE = ROOT / "docs" / "reference" / "runtimes.md"
HEAD = """# Kinds of apps

Written by `make prove`, which takes every example through `clever create -t TYPE`, `clever deploy` and `clever restart`
of the stock command line. Seconds are the platform's own, from the push to the switch, on two cores; *again* is the
same commit from its kept build. Variables that every kind honours are in [variables](variables.md); what an app sets
beyond these is named in its build log. A version that an app asks for and that cannot be had ends the build, which says
what there is: an app is never started on another than it asked for.
"""


def source_of(row: Row) -> str:
    """What the example is built and run with, as its plan says: toolchains, then Debian packages."""
    tree = runtimes.read_tree(EXAMPLES / row.example)
    plan = runtimes.detect(row.runtime, tree, row.env, memory_mib=1024)
    known = dict.fromkeys((*plan.build_toolchains, *plan.toolchains))
    toolchains = [each for each in known if each not in ("front", "together", "static", "trust", "catalina")]
    debian = [f"`{each}`" for each in (*plan.packages, *plan.build_packages)]
    return ", ".join([*toolchains, *debian]) or "the base stack"


def row_line(row: Row, proofs: dict[str, dict[str, object]]) -> str:
    example = f"[{row.example}](../../examples/{row.example})" + (f" ({row.way})" if row.way else "")
    seen = proofs.get(str(row))
    told = f"{seen['cold_s']} s | {seen['cached_s']} s | {seen['commit']}" if seen else "not yet | | "
    return f"| {example} | {source_of(row)} | {told} |"


def render() -> str:
    proofs = json.loads(PROOFS.read_text()) if PROOFS.exists() else {}
    parts = [HEAD]
    for slug, runtime in sorted(runtimes.RUNTIMES.items()):
        rows = [row for row in ROWS if row.runtime == slug]
        page = runtime.__class__.__module__.rpartition(".")[2]
        folder = ROOT / "src" / "havre" / "apps" / "runtimes" / page / "README.md"
        parts.append(f"\n## {runtime.name}: `clever create -t {slug}`\n")
        if folder.exists():
            parts.append(f"[Its page](../../{folder.relative_to(ROOT)}).\n")
        if rows:
            parts.append("| example | built and run with | first deploy | again | proven at |\n|---|---|---|---|---|")
            parts += [row_line(row, proofs) for row in rows]
        names = ", ".join(f"`{each}`" for each in sorted(runtime.variables))
        parts.append(f"\nIts variables: {names}." if names else "\nIt has no variables of its own.")
    return "\n".join(parts) + "\n"


def main() -> None:
    text = render()
    if "--check" in sys.argv:
        same = PAGE.exists() and PAGE.read_text() == text
        sys.exit(0 if same else f"{PAGE.relative_to(ROOT)} is not what it should be: run python tools/runtimes_page.py")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
