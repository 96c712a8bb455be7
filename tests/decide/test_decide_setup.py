"""Where the set-up takes packages from: as pip is told, whoever installs them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[2] / "tools" / "setup.py"


@pytest.fixture(scope="module")
def setup() -> ModuleType:
    spec = importlib.util.spec_from_file_location("havre_setup", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_uv_is_told_what_pip_is_told_and_the_environment_goes_before_files(setup: ModuleType) -> None:
    config = (
        ":env:.index-url='https://mirror.example.test/simple'\n:env:.disable-pip-version-check='1'\n"
        "global.cert='/etc/ssl/own.crt'\nglobal.find-links='\\n/opt/one\\n/opt/two'\n"
        "global.index-url='https://other.example.test/simple'\nfreeze.timeout='10'\n"
    )
    assert setup.places_of(config) == {
        "UV_DEFAULT_INDEX": "https://mirror.example.test/simple",
        "SSL_CERT_FILE": "/etc/ssl/own.crt",
        "UV_FIND_LINKS": "/opt/one,/opt/two",
    }
    assert setup.places_of("") == {}


@pytest.mark.parametrize("line", ["global.no-index='true'", ":env:.proxy='http://127.0.0.1:3128'"])
def test_what_only_pip_understands_is_left_to_pip(setup: ModuleType, line: str) -> None:
    assert setup.places_of(line) is None


def test_the_lock_has_the_installer_with_its_hashes(setup: ModuleType) -> None:
    found = setup.locked("uv")
    assert found is not None and found.startswith("uv==") and "--hash=sha256:" in found
    assert found.count("==") == 1 and found.endswith("\n")
