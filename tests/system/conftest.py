"""What tests of a whole installation begin with; a file that needs another one has its own `havre`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.console_rig import Desk, desk
from tests.system.rig import Installation, installation


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation() as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def before(havre: Installation) -> Iterator[Desk]:
    with desk(havre) as made:
        yield made
