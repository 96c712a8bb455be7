"""OAuth consumers of an organisation."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import governance
from havre.api.context import Caller, Ctx, OwnerParam, record
from havre.governance import Right, consumers
from havre.kernel.store import Tx
from havre.wire import people

router = APIRouter(tags=["consumers"])
ALL = "/v2/organisations/{owner_id}/consumers"
ONE = ALL + "/{key}"


def _shown(row: Any) -> people.Consumer:
    return people.Consumer(
        key=row.key,
        name=row.name,
        description=row.description,
        url=row.url,
        picture=row.picture,
        baseUrl=row.base_url,
        rights=consumers.rights_shown(row.rights),
        ownerId=row.owner_id,
    )


@router.get(ALL)
async def all_of_them(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[people.Consumer]:
    return await ctx.read(lambda conn: [_shown(row) for row in consumers.consumers_of(conn, actor, owner)])


@router.post(ALL)
async def create(
    ctx: Ctx, actor: Caller, owner: OwnerParam, given: people.NewConsumer, request: Request
) -> people.Consumer:
    rng = ctx.kernel.rng

    def work(tx: Tx) -> people.Consumer:
        made = consumers.create_consumer(tx, actor, owner, given.model_dump(), rng=rng)
        record(tx, actor, "consumer.create", owner_id=made.owner_id, subject=made.key, request=request)
        return _shown(made)

    return await ctx.write(work)


@router.get(ONE)
async def one(ctx: Ctx, actor: Caller, owner: OwnerParam, key: str) -> people.Consumer:
    return await ctx.read(lambda conn: _shown(consumers.find_consumer(conn, actor, owner, key, Right.READ)))


@router.get(ONE + "/secret")
async def secret(ctx: Ctx, actor: Caller, owner: OwnerParam, key: str) -> people.ConsumerSecret:
    governance.require_person(actor)

    def look(conn: sa.Connection) -> people.ConsumerSecret:
        return people.ConsumerSecret(secret=consumers.find_consumer(conn, actor, owner, key, Right.ADMIN).secret)

    return await ctx.read(look)


@router.put(ONE)
async def update(
    ctx: Ctx, actor: Caller, owner: OwnerParam, key: str, given: people.NewConsumer, request: Request
) -> people.Consumer:
    def work(tx: Tx) -> people.Consumer:
        found = consumers.update_consumer(tx, actor, owner, key, given.model_dump())
        record(tx, actor, "consumer.update", owner_id=found.owner_id, subject=key, request=request)
        return _shown(found)

    return await ctx.write(work)


@router.delete(ONE, status_code=204)
async def delete(ctx: Ctx, actor: Caller, owner: OwnerParam, key: str, request: Request) -> Response:
    def work(tx: Tx) -> None:
        found = consumers.find_consumer(tx.conn, actor, owner, key, Right.ADMIN)
        consumers.delete_consumer(tx, actor, owner, key)
        record(tx, actor, "consumer.delete", owner_id=found.owner_id, subject=key, request=request)

    await ctx.write(work)
    return Response(status_code=204)
