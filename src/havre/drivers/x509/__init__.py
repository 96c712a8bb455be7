"""The driver of the library for X.509 certificates, which is in a process of its own, the notary (docs/decisions/0024).

`notary` asks and `program` is what is asked; `authority` and `check` have the library, and are imported by that alone.
"""

from __future__ import annotations

from havre.drivers.x509.files import root_file, write
from havre.drivers.x509.model import Checked, Root
from havre.drivers.x509.notary import Authority, Notary

__all__ = ["Authority", "Checked", "Notary", "Root", "root_file", "write"]
