"""What the contract has and this installation does not offer: one answer for all of it, never a crash or a wait."""

from __future__ import annotations

from fastapi import APIRouter

from havre.api.context import Caller
from havre.base.errors import NotFoundError

router = APIRouter(include_in_schema=False)
NOT_OFFERED = "not offered by this installation"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@router.api_route("/v2/{path:path}", methods=METHODS)
@router.api_route("/v4/{path:path}", methods=METHODS)
async def not_offered(actor: Caller) -> None:
    """Every path and method that no other route takes; only for somebody who is signed in."""
    raise NotFoundError(NOT_OFFERED, id=4040)
