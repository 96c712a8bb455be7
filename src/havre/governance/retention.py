"""What governance forgets: the audit after 400 days, everything that has expired."""

from __future__ import annotations

from havre.governance import account_tables, authentication, consumer_tables, consumers, organisations, tables
from havre.kernel.store import Tx

DAY_MS = 86_400_000
AUDIT_KEPT_MS = 400 * DAY_MS


def forget_old(tx: Tx, *, now: int) -> int:
    """Returns how many rows went. now: by which they are old enough."""
    gone = tables.forget_audit(tx, before=now - AUDIT_KEPT_MS)
    gone += tables.forget_tokens(tx, before=now - 30 * DAY_MS)
    gone += account_tables.forget_sessions(
        tx, seen_before=now - authentication.SESSION_IDLE_MS, made_before=now - authentication.SESSION_LIFE_MS
    )
    gone += account_tables.forget_unconfirmed_emails(tx, before=now - 7 * DAY_MS)
    gone += consumer_tables.forget_requests(tx, before=now - consumers.REQUEST_MS)
    gone += consumer_tables.forget_invitations(tx, before=now - organisations.INVITATION_MS)
    return gone + tables.forget_cli_tokens(tx, before=now - 600_000)
