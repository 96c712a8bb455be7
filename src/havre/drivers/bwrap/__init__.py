"""Units as bubblewrap sandboxes, each under a monitor of its own."""

from havre.drivers.bwrap.engine import Bubblewrap
from havre.drivers.bwrap.model import Bind, Exit, Limits, Root, Unit, UnitSpec
from havre.drivers.bwrap.shell import Shell, Terminal

__all__ = ["Bind", "Bubblewrap", "Exit", "Limits", "Root", "Shell", "Terminal", "Unit", "UnitSpec"]
