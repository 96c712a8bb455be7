"""Preflight: whether a migration may go on, check by check, each with its evidence and what to do.

Pure but for `look`, which asks registries, and `trial`, which asks the daemon. The checks are those of the reference
page `docs/reference/network-preflight.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from havre.base.errors import InvalidError
from havre.network.model import Intent
from havre.network.preflight import registration, sessions
from havre.network.preflight.model import Case, Evidence, Finding, Probe, Report, Result

__all__ = ["CHECKS", "Case", "Check", "Evidence", "Finding", "Probe", "Report", "Result", "run"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check. only_while_both: it is about the time when both origins are legitimate."""

    name: str
    look: Callable[[Intent, Evidence], Iterator[Finding]]
    only_while_both: bool = False

    @property
    def title(self) -> str:
        """What must be so, in a sentence."""
        return (self.look.__doc__ or "").strip().partition("\n\n")[0]


CHECKS: tuple[Check, ...] = (
    Check("route-object", registration.route_object),
    Check("both-origins", registration.both_origins, only_while_both=True),
    Check("as-set-member", registration.as_set_member),
    Check("as-set-acyclic", registration.as_set_acyclic),
    Check("roa-new-origin", registration.roa_new),
    Check("roa-old-origin", registration.roa_old, only_while_both=True),
    Check("roa-max-length", registration.roa_max_length),
    Check("roa-as0", registration.roa_as0),
    Check("aut-num", registration.aut_num),
    Check("export-limit", sessions.export_limit),
    Check("import-limit", sessions.import_limit),
    Check("prefix-length", sessions.prefix_length),
    Check("bogons", sessions.bogons),
    Check("rov", sessions.rov),
    Check("first-as", sessions.first_as),
    Check("filters-proven", sessions.filters_proven),
    Check("anti-spoof", sessions.anti_spoof),
    Check("timers", sessions.timers),
    Check("filter-list", sessions.filter_list),
    Check("session-restarts", sessions.restarts),
)


def run(intent: Intent, seen: Evidence, *, both_origins: bool = True, only: Collection[str] = ()) -> Report:
    """Everything that the checks find.

    both_origins: whether a migration goes on. only: the names of the checks that are wanted, all of them when empty.
    Raises InvalidError for a name that no check has.
    """
    unknown = sorted(set(only) - {each.name for each in CHECKS})
    if unknown:
        raise InvalidError(f"there is no check {unknown[0]!r}: {', '.join(each.name for each in CHECKS)}")
    wanted = (each for each in CHECKS if (not only or each.name in only) and (both_origins or not each.only_while_both))
    return Report(tuple(finding for check in wanted for finding in check.look(intent, seen)))
