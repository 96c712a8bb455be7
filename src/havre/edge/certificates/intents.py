"""What may be asked of certificates, each inside the caller's transaction. Who may ask is decided by the caller."""

from __future__ import annotations

import uuid

from havre.base.errors import ExhaustedError, NotFoundError
from havre.drivers.x509 import Checked
from havre.edge.certificates import tables
from havre.edge.certificates.model import Certificate, Kind
from havre.kernel.store import Tx

MOST_OF_AN_OWNER = 200


def add(tx: Tx, checked: Checked, *, owner_id: str | None) -> Certificate:
    """Keep a certificate that was checked; the same once more is no error. owner_id: None for the operator's."""
    held = tables.own_of(tx.conn, owner_id)
    for each in held:
        if each.fingerprint == checked.fingerprint and tables.chain(tx.conn, each.id) == checked.chain:
            return each
    if len(held) >= MOST_OF_AN_OWNER:
        raise ExhaustedError(f"an organisation may have {MOST_OF_AN_OWNER} certificates; remove one first")
    made = keep(tx, checked, kind="own", owner_id=owner_id)
    tx.emit("edge.certificate.added", owner_id=owner_id, subject=made.id, names=list(made.names))
    return made


def keep(tx: Tx, checked: Checked, *, kind: Kind, owner_id: str | None) -> Certificate:
    """Write it down, whoever it is from."""
    made = Certificate(
        id=f"cert_{uuid.uuid4()}",
        kind=kind,
        owner_id=owner_id,
        names=checked.names,
        issuer=checked.issuer,
        not_before=checked.not_before,
        not_after=checked.not_after,
        fingerprint=checked.fingerprint,
        created_at=tx.now,
    )
    tables.insert(tx.conn, made, chain=checked.chain, key=checked.key)
    return made


def remove(tx: Tx, id: str, *, owner_id: str | None) -> Certificate:
    """Forget a certificate; its hosts show the next best. Raises NotFoundError for one of somebody else."""
    held = tables.certificate(tx.conn, id)
    if held is None or held.kind != "own" or held.owner_id != owner_id:
        raise NotFoundError("The certificate cannot be found")
    tables.delete(tx.conn, id)
    tx.emit("edge.certificate.removed", owner_id=owner_id, subject=id, names=list(held.names))
    return held
