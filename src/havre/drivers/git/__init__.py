"""git, run by argument lists in a clean environment."""

from havre.drivers.git.backend import http_backend
from havre.drivers.git.repository import checkout, head, init, size_bytes

__all__ = ["checkout", "head", "http_backend", "init", "size_bytes"]
