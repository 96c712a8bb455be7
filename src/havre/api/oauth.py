"""The OAuth 1 dance of third-party consumers (RFC 5849 section 2). Where people allow it is a page of the console."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from havre.api.context import Caller, Context, Ctx, client_url, form_of
from havre.base.errors import DeniedError, InvalidError
from havre.governance import accounts, consumers, signatures

router = APIRouter(tags=["oauth"])
FORM = "application/x-www-form-urlencoded"


def _asked(ctx: Context, request: Request) -> signatures.Asked:
    header = request.headers.get("authorization", "")
    url = client_url(request, ctx.kernel.config)
    return signatures.Asked(header, request.method, url, tuple(form_of(request)))


@router.post("/v2/oauth/request_token")
@router.post("/v2/oauth/request_token_query")
async def request_token(ctx: Ctx, request: Request) -> Response:
    """Temporary credentials, form-encoded. Signed with the consumer's key and secret alone; names its callback."""
    asked, rng, is_new = _asked(ctx, request), ctx.kernel.rng, ctx.limits.nonces.is_new
    try:
        token, secret = await ctx.write(lambda tx: consumers.begin(tx, asked, rng=rng, is_new=is_new))
    except InvalidError as error:
        raise DeniedError(error.message, anonymous=True) from error
    found = {"oauth_token": token, "oauth_token_secret": secret, "oauth_callback_confirmed": "true"}
    return Response(urlencode(found), media_type=FORM)


@router.post("/v2/oauth/access_token")
@router.post("/v2/oauth/access_token_query")
async def access_token(ctx: Ctx, request: Request) -> Response:
    """The token, form-encoded, for a request that a person has allowed. Signed with its temporary credentials too."""
    asked, rng, is_new = _asked(ctx, request), ctx.kernel.rng, ctx.limits.nonces.is_new
    try:
        token, secret, at = await ctx.write(lambda tx: consumers.finish(tx, asked, rng=rng, is_new=is_new))
    except InvalidError as error:
        raise DeniedError(error.message, anonymous=True) from error
    found = {"oauth_token": token, "oauth_token_secret": secret, "expiration_date": accounts.iso(at)}
    return Response(urlencode(found), media_type=FORM)


@router.get("/v2/oauth/rights")
async def rights(actor: Caller) -> dict[str, bool]:
    """What the person who signed in gave to the consumer that asks."""
    return consumers.rights_shown(None if actor.grants is None else sorted(actor.grants))
