"""The route of a host and its certificate are made beside each other."""

from __future__ import annotations

from typing import Any

import pytest

from havre import edge
from havre.base.errors import UnavailableError
from havre.base.ids import new_app_id, new_owner_id
from havre.edge.certificates.reconcile import Certificates
from tests.room.edge_rig import edge_kernel, running_room

pytestmark = pytest.mark.anyio


async def test_a_host_whose_certificate_cannot_be_made_yet_has_its_route_and_the_caller_hears_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(*_: Any) -> None:
        raise UnavailableError("the notary does not answer")

    async with edge_kernel() as kernel, running_room(kernel):
        app, owner, host = new_app_id(), new_owner_id(), "shop.example.net"
        monkeypatch.setattr(Certificates, "ensure", fails)
        await kernel.store.write(lambda tx: edge.claim(tx, app_id=app, owner_id=owner, fqdn=host))
        with pytest.raises(UnavailableError, match="the notary does not answer"):
            await edge.reconcile_now(kernel, fqdns=[host])
        assert (kernel.paths.run / "routes" / f"{host}.sock").is_symlink()
