"""What a request handler is given: the kernel, the rooms, and who asks."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import sqlalchemy as sa
from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from havre import edge, governance
from havre.api.limits import Limits
from havre.apps import App, Apps, views
from havre.base.errors import DeniedError, InvalidError
from havre.base.names import host_name
from havre.governance import Actor, Pair
from havre.governance.signatures import Asked
from havre.kernel.config import Config
from havre.kernel.kernel import Kernel
from havre.kernel.machine import Machine
from havre.kernel.rooms import Room
from havre.kernel.store import Tx

T = TypeVar("T")
NOT_SIGNED_IN = "nobody is signed in: sign the request with OAuth 1 or a token"
COOKIE = "__Host-havre"  # RFC 6265bis: only over TLS, only for this host
CONSOLE = "x-havre-console"  # a header that no other site can send with the cookie


class Known:
    """The tokens that were asked with lately, so that a request needs one look at the store and not two.

    Whatever happens to people or credentials empties it before its writer is answered; on several nodes another
    one hears of it after `KEPT_S`.
    """

    KEPT_S = 2.0
    MOST = 10_000

    def __init__(self, kernel: Kernel) -> None:
        self._clock = kernel.clock
        self._watch = kernel.bus.watch("governance.")
        self._pairs: dict[tuple[str, str], tuple[float, Pair]] = {}
        self._mark = 0

    @property
    def mark(self) -> int:
        """What `keep` is told, taken before the store is read."""
        return self._watch.count

    def get(self, token: str, consumer: str) -> Pair | None:
        if self._mark != self._watch.count:
            self._mark = self._watch.count
            self._pairs.clear()
        kept = self._pairs.get((token, consumer))
        return kept[1] if kept is not None and self._clock.monotonic() - kept[0] < self.KEPT_S else None

    def keep(self, token: str, consumer: str, found: Pair, *, mark: int) -> None:
        if found.token is None or mark != self._watch.count:
            return
        if len(self._pairs) >= self.MOST:
            self._pairs.clear()
        self._pairs[token, consumer] = (self._clock.monotonic(), found)


@dataclass(frozen=True)
class Context:
    kernel: Kernel
    rooms: tuple[Room, ...]
    apps: Apps
    limits: Limits
    known: Known
    machine: Machine
    names: edge.Names

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        return await self.kernel.store.read(work)

    async def write(self, work: Callable[[Tx], T]) -> T:
        return await self.kernel.store.write(work)


def context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


def client_url(request: HTTPConnection, config: Config) -> str:
    """The URL as the client signed it: our public origin, or the host that it called, with path and query as sent."""
    host = request.headers.get("host", "")
    origin = f"https://{host}" if re.fullmatch(r"[A-Za-z0-9.:\[\]-]{1,255}", host) else config.origin
    path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1").partition("?")[0]
    query = request.scope.get("query_string", b"").decode("latin-1")
    return f"{origin}{path}" + (f"?{query}" if query else "")


def form_of(request: HTTPConnection) -> list[tuple[str, str]]:
    """What a form-encoded body says: it is signed with the request (RFC 5849 section 3.4.1.3)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return []
    body: bytes = request.scope.get("havre.body", b"")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError as cause:
        raise InvalidError("the form is malformed") from cause


async def actor_of(request: Request) -> Actor:
    """Who asks. Raises DeniedError (anonymous)."""
    actor = await authenticate(context(request), request)
    request.state.actor = actor
    return actor


async def authenticate(ctx: Context, request: Request) -> Actor:
    header = request.headers.get("authorization", "")
    scheme, _, rest = header.partition(" ")
    now, form = ctx.kernel.clock.now(), form_of(request)
    if scheme.lower() == "oauth":
        asked = Asked(header, request.method, client_url(request, ctx.kernel.config), tuple(form))
        return await signer(ctx, asked, is_new=ctx.limits.nonces.is_new)
    if scheme.lower() == "bearer":
        return await ctx.read(lambda conn: governance.authenticate_bearer(conn, rest.strip(), now=now))
    cookie = request.cookies.get(COOKIE, "")
    if cookie and not header:
        if request.method not in ("GET", "HEAD") and not request.headers.get(CONSOLE):
            raise DeniedError(f"a browser's write carries the header {CONSOLE}", anonymous=True)
        return await ctx.read(lambda conn: governance.authenticate_session(conn, cookie, now=now))
    raise DeniedError(NOT_SIGNED_IN, anonymous=True)


async def signer(ctx: Context, asked: Asked, *, is_new: governance.IsNew | None = None) -> Actor:
    """Who signed what is asked. Raises DeniedError (anonymous)."""
    signed = governance.read_signature(asked.header)
    found = ctx.known.get(signed.token, signed.consumer_key)
    if found is None:
        mark = ctx.known.mark
        found = await ctx.read(lambda conn: governance.pair(conn, signed.token, signed.consumer_key))
        ctx.known.keep(signed.token, signed.consumer_key, found, mark=mark)
    now, aged = ctx.kernel.clock.now(), ctx.kernel.aging.now()
    return governance.check_signature(found, signed, asked, now=now, aged=aged, is_new=is_new)


async def basic_actor_of(ctx: Context, header: str) -> Actor:
    """Who asks with HTTP Basic, token and secret (git). Raises DeniedError (anonymous)."""
    scheme, _, encoded = header.partition(" ")
    try:
        token, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as cause:
        raise DeniedError(NOT_SIGNED_IN, anonymous=True) from cause
    if scheme.lower() != "basic" or not token:
        raise DeniedError(NOT_SIGNED_IN, anonymous=True)
    aged = ctx.kernel.aging.now()
    return await ctx.read(lambda conn: governance.authenticate_pair(conn, token, secret, aged=aged))


def owner_of(request: Request) -> str:
    """The owner in the path; `/v2/self/…` means the caller's own space."""
    return str(request.path_params.get("owner_id", "self"))


def found_app(conn: sa.Connection, actor: Actor, owner: str, app_id: str) -> App:
    """`/v2/self/applications/{id}` finds an app in any organisation of the caller."""
    return views.app(conn, actor, None if owner == "self" else owner, app_id)


Ctx = Annotated[Context, Depends(context)]
Caller = Annotated[Actor, Depends(actor_of)]
OwnerParam = Annotated[str, Depends(owner_of)]


def source_of(request: HTTPConnection) -> str:
    """The address that asks. The edge writes it, whatever the client sent."""
    return (request.headers.get("x-forwarded-for") or "").split(",")[-1].strip()[:64]


def record(
    tx: Tx,
    actor: Actor,
    action: str,
    *,
    owner_id: str | None,
    subject: str,
    request: HTTPConnection,
    result: str = "ok",
) -> None:
    """One line of the audit, in the transaction of what it tells."""
    facts: dict[str, Any] = {"owner_id": owner_id, "actor_id": actor.user_id, "action": action[:80]}
    governance.insert_audit(tx, **facts, subject=subject[:200], source=source_of(request), result=result)


def plain_fqdn(text: str, config: Config) -> str:
    """A vhost as the edge knows it: without our port, without a trailing slash. Raises InvalidError."""
    host, slash, path = text.strip().partition("/")
    name, colon, port = host.partition(":")
    if colon and port != str(config.edge.https_port):
        raise InvalidError(f"Invalid domain: {text!r} names a port; a domain has none")
    return host_name(name) + (slash + path.rstrip("/") if path.strip("/") else "")


def shown_fqdn(fqdn: str, config: Config) -> str:
    """A vhost as it goes over the wire: every URL that a client makes of it must open as printed."""
    host, _, path = fqdn.partition("/")
    port = "" if config.edge.https_port == 443 else f":{config.edge.https_port}"
    return f"{host}{port}/{path}"
