"""The first start after a restore: what the database tells of this machine is not true here.

Every room forgets it in one transaction, and asks for what must be made again; a start that is cut off before that
transaction does it again, one after it does not.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
import structlog

from havre.kernel.rooms import Room
from havre.kernel.store import Store, Tx

TABLE = "restored"
log = structlog.get_logger()


async def settle(store: Store, rooms: Iterable[Room]) -> bool:
    """Have every room take note, if this is the first start after a restore."""

    def work(tx: Tx) -> bool:
        if not sa.inspect(tx.conn).has_table(TABLE):
            return False
        for room in rooms:
            if room.restored is not None:
                room.restored(tx)
        row = tx.conn.execute(sa.text(f"select at, made_at from {TABLE}")).first()
        tx.emit("kernel.state.restored", taken_at=row.made_at if row is not None else 0)
        tx.conn.execute(sa.text(f"drop table {TABLE}"))
        return True

    settled = await store.write(work)
    if settled:
        log.info("kernel.state.restored")
    return settled
