"""Writes docs/reference/variables.md from the code: `python tools/variables.py > docs/reference/variables.md`.

A test checks that the page says what the code does.
"""

from __future__ import annotations

from collections.abc import Iterable

from havre.apps import contract, runtimes
from havre.apps.contract import Variable

HEAD = """\
# Variables

What an app's variables (`clever env`) mean to builds and instances; written from the code by `tools/variables.py`.
Any other variable is the app's own and is handed to its build and its instances as it is. One that begins with `CC_`
and is not known is named in the deployment's log.
"""
COMMON = """
## For every kind of app
"""
PLATFORM = """
## Set by the platform

An app reads these; setting one has no effect, or is refused.
"""
OWN = """
## For one kind of app

Each is told on its kind's page in `src/havre/apps/runtimes/`.

| kind | variables |
|---|---|
"""
UNSUPPORTED = """
## Of the contract, and without effect here

A deployment with one of these says so in its log.

"""


def page() -> str:
    """The whole page."""
    own = "".join(
        f"| {slug} | {', '.join(f'`{name}`' for name in sorted(each.variables)) or 'none'} |\n"
        for slug, each in sorted(runtimes.RUNTIMES.items())
    )
    honoured = set().union(*(each.variables for each in runtimes.RUNTIMES.values()))
    rest = ", ".join(f"`{name}`" for name in sorted(contract.UNSUPPORTED) if name not in honoured)
    return "".join(
        [HEAD, COMMON, table(contract.COMMON), PLATFORM, table(contract.PLATFORM), OWN, own, UNSUPPORTED, rest, "\n"]
    )


def table(variables: Iterable[Variable]) -> str:
    rows = "".join(f"| `{each.name}` | {each.meaning} | {each.default} |\n" for each in variables)
    return f"\n| variable | meaning | when it is not set |\n|---|---|---|\n{rows}"


if __name__ == "__main__":
    print(page(), end="")
