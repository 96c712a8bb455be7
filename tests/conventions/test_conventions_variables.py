"""The page of the variables says what the code does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from havre.apps import contract, runtimes

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "havre" / "apps"
LISTS = ("contract.py", "cache.py")  # of names alone; the latter has those that change no build
REFUSES = "request_flow"  # names what it refuses


def test_the_page_is_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("variables", ROOT / "tools" / "variables.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    said = (ROOT / "docs" / "reference" / "variables.md").read_text()
    assert said == tool.page(), "python tools/variables.py > docs/reference/variables.md"


def test_what_is_without_effect_is_read_nowhere() -> None:
    own = set().union(*(each.variables for each in runtimes.RUNTIMES.values()))
    code = "\n".join(
        each.read_text() for each in SOURCE.rglob("*.py") if each.name not in LISTS and REFUSES not in each.parts
    )
    named = set(re.findall(r'"(CC_[A-Z0-9_]+)"', code)) - own
    assert sorted(named & set(contract.UNSUPPORTED)) == []


def test_every_common_variable_that_the_code_reads_is_told() -> None:
    own = set().union(*(each.variables for each in runtimes.RUNTIMES.values()))
    files = [each for each in SOURCE.glob("*.py") if each.name not in LISTS]
    files += [*(SOURCE / "launch").glob("*.py"), *(SOURCE / "runtimes").glob("*.py")]
    read = {name for each in files for name in re.findall(r'"(CC_[A-Z0-9_]*[A-Z0-9])"', each.read_text())}
    told = (*contract.COMMON, *contract.PLATFORM)
    assert [name for name in sorted(read - own) if not any(each.matches(name) for each in told)] == []
