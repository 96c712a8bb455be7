"""The kernel as one value, handed to every room at its setup."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from havre.drivers.x509 import Notary
from havre.kernel.aging import Aging
from havre.kernel.clock import Clock
from havre.kernel.config import Config, Paths
from havre.kernel.events import Bus
from havre.kernel.operations import Operations
from havre.kernel.reconcile import Loops
from havre.kernel.store import Store

if TYPE_CHECKING:
    from havre.kernel.units import Units


@dataclass(frozen=True)
class Kernel:
    config: Config
    paths: Paths
    clock: Clock
    rng: random.Random
    store: Store
    bus: Bus
    operations: Operations
    units: Units
    environment: dict[str, str] = field(default_factory=dict)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    loops: Loops = field(default_factory=Loops)
    notary: Notary = field(default_factory=Notary)

    @cached_property
    def aging(self) -> Aging:
        """By which moment things are old enough to be deleted."""
        return Aging(self.clock, self.paths.data / "clock.json")
