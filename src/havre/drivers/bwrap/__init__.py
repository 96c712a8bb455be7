"""Units as bubblewrap sandboxes, each under a monitor of its own."""

from havre.drivers.bwrap.engine import Bubblewrap
from havre.drivers.bwrap.model import Bind, Exit, Limits, Quota, Root, Tree, Unit, UnitSpec, Usage, Users
from havre.drivers.bwrap.shell import Shell, Terminal
from havre.drivers.bwrap.strain import Strain

__all__ = [
    "Bind",
    "Bubblewrap",
    "Exit",
    "Limits",
    "Quota",
    "Root",
    "Shell",
    "Strain",
    "Terminal",
    "Tree",
    "Unit",
    "UnitSpec",
    "Usage",
    "Users",
]
