"""git, run by argument lists in a clean environment."""

from havre.drivers.git.backend import GitResponse, http_backend
from havre.drivers.git.repository import BRANCH, checkout, head, init, size_bytes

__all__ = ["BRANCH", "GitResponse", "checkout", "head", "http_backend", "init", "size_bytes"]
