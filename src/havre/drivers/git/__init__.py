"""git, run by argument lists in a clean environment."""

from havre.drivers.git.backend import GitResponse, http_backend
from havre.drivers.git.bundles import read_bundle, write_bundle
from havre.drivers.git.report import Report
from havre.drivers.git.repository import (
    BRANCH,
    Commit,
    add_history,
    checkout,
    commits,
    head,
    init,
    set_branch,
    size_bytes,
    submodules,
    write_index,
)

__all__ = [
    "BRANCH", "Commit", "GitResponse", "Report", "add_history", "checkout", "commits", "head", "http_backend", "init",
    "read_bundle", "set_branch", "size_bytes", "submodules", "write_bundle", "write_index",
]  # fmt: skip
