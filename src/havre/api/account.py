"""Who am I: the person, their addresses, keys, second factor and signed-in command lines."""

from __future__ import annotations

import re
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Body, Request, Response

from havre import governance, notifications
from havre.api import errors
from havre.api.context import Caller, Context, Ctx, record
from havre.base.errors import DeniedError
from havre.governance import Actor, Grant, accounts, consumers, totp
from havre.kernel.store import Tx
from havre.wire import models, people

router = APIRouter(tags=["account"])
_CLI_TOKEN = re.compile(r"[A-Za-z0-9_+/=-]{16,128}")


@router.get("/v2/self")
async def myself(ctx: Ctx, actor: Caller) -> people.SelfObject:
    governance.require_grant(actor, Grant.ACCESS_PERSON, Grant.MANAGE_PERSON)

    def look(conn: sa.Connection) -> people.SelfObject:
        row = governance.person(conn, actor.user_id)
        if row is None:
            raise DeniedError("this account is gone", anonymous=True)
        return people.SelfObject(
            id=row.id,
            email=row.email,
            name=row.name,
            creationDate=row.created_at,
            admin=row.is_operator,
            preferredMFA="TOTP" if accounts.needs_code(conn, row.id) else "NONE",
            partnerConsoleUrl=ctx.kernel.config.origin,
        )

    return await ctx.read(look)


@router.get("/v2/self/id")
async def my_id(actor: Caller) -> dict[str, str]:
    return {"ownerId": actor.user_id}


# tokens of signed-in command lines and consumers


def _shown(conn: sa.Connection, row: Any, grants: frozenset[str] | None) -> people.OauthToken:
    rights = consumers.rights_shown(None if grants is None else sorted(grants))
    name = consumers.consumer_name(conn, row.consumer)
    return people.OauthToken(
        token=row.token,
        consumer={"name": name, "key": row.consumer, "rights": rights},
        creationDate=row.created_at,
        expirationDate=row.expires_at,
        rights=rights,
    )


@router.get("/v2/self/tokens/current")
async def my_token(ctx: Ctx, actor: Caller) -> people.OauthToken:
    def look(conn: sa.Connection) -> people.OauthToken:
        row = governance.token(conn, actor.token)
        if row is None:
            raise DeniedError("this request was not signed with an OAuth token")
        return _shown(conn, row, actor.grants)

    return await ctx.read(look)


@router.get("/v2/self/tokens")
async def my_tokens(ctx: Ctx, actor: Caller) -> list[people.OauthToken]:
    governance.require_person(actor)

    def look(conn: sa.Connection) -> list[people.OauthToken]:
        return [_shown(conn, row, None) for row in governance.tokens_of(conn, actor.user_id)]

    return await ctx.read(look)


@router.delete("/v2/self/tokens/{token}", status_code=204)
async def revoke_my_token(ctx: Ctx, actor: Caller, token: str, request: Request) -> Response:
    governance.require_person(actor)

    def work(tx: Tx) -> None:
        accounts.revoke_token(tx, actor, actor.token if token == "current" else token)
        record(tx, actor, "token.revoke", owner_id=_space(tx, actor), subject=token[:8], request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.delete("/v2/self/tokens", status_code=204)
async def revoke_my_tokens(ctx: Ctx, actor: Caller, request: Request) -> Response:
    """All but the one that asks."""
    governance.require_person(actor)

    def work(tx: Tx) -> None:
        governance.delete_tokens_of(tx, actor.user_id, but=actor.token)
        record(tx, actor, "tokens.revoke", owner_id=_space(tx, actor), subject=actor.user_id, request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.get("/v2/self/cli_tokens")
async def fetch_cli_token(ctx: Ctx, cli_token: str, response: Response) -> dict[str, Any]:
    """404 until the person has signed in in the browser; then the token, once."""
    row = None
    if _CLI_TOKEN.fullmatch(cli_token):
        row = await ctx.write(lambda tx: governance.take_cli_token(tx, cli_token))
    if row is None:
        response.status_code = 404
        return errors.body(4004, "not signed in yet")
    return {"token": row.token, "secret": row.secret, "expirationDate": accounts.iso(row.expires_at)}


def _space(tx: Tx, actor: Actor) -> str:
    """What a person does to their own account stands in the audit of their own space."""
    return governance.personal_owner(tx.conn, actor.user_id)


# the password and the second factor


@router.put("/v2/self/change_password", status_code=204)
async def change_password(ctx: Ctx, actor: Caller, given: people.PasswordChange, request: Request) -> Response:
    ctx.limits.sign_ins.take(actor.email, what="attempts")
    rng = ctx.kernel.rng

    def work(tx: Tx) -> None:
        accounts.change_password(tx, actor, old=given.oldPassword, new=given.newPassword, rng=rng)
        record(tx, actor, "password.change", owner_id=_space(tx, actor), subject=actor.user_id, request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.post("/v2/self/mfa/TOTP")
async def begin_factor(ctx: Ctx, actor: Caller, request: Request) -> people.FactorBegun:
    """A secret for an authenticator app; in force once a code of it was sent to `…/confirmation`."""

    def work(tx: Tx) -> str:
        record(tx, actor, "factor.begin", owner_id=_space(tx, actor), subject=actor.user_id, request=request)
        return accounts.begin_factor(tx, actor, rng=ctx.kernel.rng)

    secret = await ctx.write(work)
    return people.FactorBegun(secret=secret, url=totp.uri(secret, account=actor.email, issuer="Havre"))


@router.post("/v2/self/mfa/TOTP/confirmation")
async def confirm_factor(ctx: Ctx, actor: Caller, given: people.FactorCode, request: Request) -> people.SpareCodes:
    """The spare codes are in this answer and nowhere else."""
    ctx.limits.sign_ins.take(actor.email, what="attempts")

    def work(tx: Tx) -> list[str]:
        record(tx, actor, "factor.confirm", owner_id=_space(tx, actor), subject=actor.user_id, request=request)
        return accounts.confirm_factor(tx, actor, given.code, rng=ctx.kernel.rng)

    return people.SpareCodes(codes=await ctx.write(work))


@router.post("/v2/self/mfa/TOTP/removal", status_code=204)
async def drop_factor(ctx: Ctx, actor: Caller, given: people.FactorDropped, request: Request) -> Response:
    """Off again: for who knows the password and has a code."""
    ctx.limits.sign_ins.take(actor.email, what="attempts")
    await check_person(ctx, actor, password=given.password, code=given.code)

    def work(tx: Tx) -> None:
        accounts.drop_factor(tx, actor)
        record(tx, actor, "factor.drop", owner_id=_space(tx, actor), subject=actor.user_id, request=request)

    await ctx.write(work)
    return Response(status_code=204)


async def check_person(ctx: Context, actor: Actor, *, password: str, code: str) -> None:
    """It is the person. Raises DeniedError."""
    rng = ctx.kernel.rng
    await ctx.read(lambda conn: accounts.check_password(conn, email=actor.email, password=password, rng=rng))
    await ctx.write(lambda tx: accounts.check_code(tx, actor.user_id, code))


# addresses


@router.get("/v2/self/emails")
async def emails(ctx: Ctx, actor: Caller) -> list[str]:
    governance.require_grant(actor, Grant.ACCESS_PERSON, Grant.MANAGE_PERSON)
    return await ctx.read(lambda conn: accounts.emails(conn, actor))


@router.put("/v2/self/emails/{address}")
async def put_email(
    ctx: Ctx,
    actor: Caller,
    address: str,
    request: Request,
    given: Annotated[people.EmailChange | None, Body()] = None,
) -> models.Message:
    """Ask for an address, which a link that is sent there confirms; or make a confirmed one the primary."""
    if given is not None and given.make_primary:
        await ctx.write(lambda tx: _make_primary(tx, actor, address, request))
        return models.Message(id=120, message="The address is the primary one now", type="success")
    ctx.limits.letters.take(actor.user_id, what="letters")
    origin, rng = ctx.kernel.config.origin, ctx.kernel.rng

    def work(tx: Tx) -> None:
        proof = accounts.add_email(tx, actor, address, rng=rng)
        record(tx, actor, "email.add", owner_id=_space(tx, actor), subject=address, request=request)
        text = f"Is this address {actor.name}'s at {origin}? Then open\n\n{origin}/confirm-email?proof={proof}\n"
        notifications.post(tx, to=accounts.email(address), subject="Confirm your e-mail address", text=text)

    await ctx.write(work)
    return models.Message(id=119, message="A confirmation has been sent to this address", type="success")


def _make_primary(tx: Tx, actor: Actor, address: str, request: Request) -> None:
    accounts.make_primary(tx, actor, address)
    record(tx, actor, "email.primary", owner_id=_space(tx, actor), subject=address, request=request)


@router.delete("/v2/self/emails/{address}")
async def drop_email(ctx: Ctx, actor: Caller, address: str, request: Request) -> models.Message:
    def work(tx: Tx) -> None:
        accounts.drop_email(tx, actor, address)
        record(tx, actor, "email.drop", owner_id=_space(tx, actor), subject=address, request=request)

    await ctx.write(work)
    return models.Message(id=121, message="The address has been removed", type="success")


# keys


@router.get("/v2/self/keys")
async def keys(ctx: Ctx, actor: Caller) -> list[people.SshKey]:
    governance.require_grant(actor, Grant.ACCESS_PERSON, Grant.MANAGE_SSH_KEYS)

    def look(conn: sa.Connection) -> list[people.SshKey]:
        return [
            people.SshKey(name=each.name, key=each.key, fingerprint=each.fingerprint)
            for each in accounts.keys(conn, actor)
        ]

    return await ctx.read(look)


@router.put("/v2/self/keys/{name:path}")
async def put_key(ctx: Ctx, actor: Caller, name: str, key: Annotated[str, Body()], request: Request) -> models.Message:
    governance.require_grant(actor, Grant.MANAGE_SSH_KEYS)

    def work(tx: Tx) -> None:
        made = accounts.put_key(tx, actor, name=name, key=key)
        subject = f"{name} {made.fingerprint}"
        record(tx, actor, "key.put", owner_id=_space(tx, actor), subject=subject, request=request)

    await ctx.write(work)
    return models.Message(id=130, message="The SSH key has been saved", type="success")


@router.delete("/v2/self/keys/{name:path}")
async def drop_key(ctx: Ctx, actor: Caller, name: str, request: Request) -> models.Message:
    governance.require_grant(actor, Grant.MANAGE_SSH_KEYS)

    def work(tx: Tx) -> None:
        accounts.drop_key(tx, actor, name)
        record(tx, actor, "key.drop", owner_id=_space(tx, actor), subject=name, request=request)

    await ctx.write(work)
    return models.Message(id=131, message="The SSH key has been removed", type="success")
