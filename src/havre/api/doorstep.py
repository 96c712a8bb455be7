"""What the web pages need of the platform: signing in at a browser, and what somebody signed in may allow.

The console's pages know it by the Protocol that they state; see `havre.console.Door`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

import sqlalchemy as sa
from starlette.requests import HTTPConnection

from havre import governance
from havre.api.context import COOKIE, Context, found_app, record, source_of
from havre.base.errors import DeniedError
from havre.base.ids import UserId
from havre.governance import Actor, accounts, consumers, organisations, totp
from havre.kernel.store import Tx

TICKET_MS = 300_000
KEEP_MS = 300_000


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in at the browser."""

    id: str
    name: str
    email: str
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """How a sign-in went: `cookie` when it is done; `ticket` when a code is asked for."""

    cookie: str = ""
    ticket: str = ""


class Doorstep:
    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._key = secrets.token_bytes(32)
        self.cookie_name = COOKIE

    async def visitor(self, request: HTTPConnection) -> Visitor | None:
        """None: nobody is signed in."""
        cookie = request.cookies.get(COOKIE, "")
        if not cookie:
            return None
        now = self._ctx.kernel.clock.now()
        try:
            actor, row, has = await self._ctx.read(lambda conn: _seen(conn, cookie, now))
        except DeniedError:
            return None
        if now - row > KEEP_MS:
            await self._ctx.write(lambda tx: accounts.keep_session(tx, cookie))
        return Visitor(actor.user_id, actor.name, actor.email, has)

    async def sign_in(self, request: HTTPConnection, *, email: str, password: str) -> Entry:
        """Raises DeniedError, ExhaustedError."""
        self._count(request, email)
        rng = self._ctx.kernel.rng
        actor = await self._ctx.read(
            lambda conn: accounts.check_password(conn, email=email, password=password, rng=rng)
        )
        if await self._ctx.read(lambda conn: accounts.needs_code(conn, actor.user_id)):
            return Entry(ticket=self._ticket(actor.user_id))
        return Entry(cookie=await self._open(request, actor))

    async def enter_code(self, request: HTTPConnection, *, ticket: str, code: str) -> Entry:
        """The second step. Raises DeniedError, ExhaustedError."""
        person_id = self._person_of(ticket)
        self._count(request, person_id)
        await self._ctx.write(lambda tx: accounts.check_code(tx, person_id, code))
        row = await self._ctx.read(lambda conn: governance.person(conn, person_id))
        if row is None:
            raise DeniedError(accounts.WRONG, anonymous=True)
        return Entry(cookie=await self._open(request, Actor(UserId(row.id), row.name, row.email, row.is_operator)))

    def _count(self, request: HTTPConnection, key: str) -> None:
        limits = self._ctx.limits
        limits.sign_ins.take(key.strip().lower()[:254], what="attempts")
        limits.sources.take(source_of(request), what="attempts")

    def _ticket(self, person_id: str) -> str:
        until = self._ctx.kernel.clock.now() + TICKET_MS
        return f"{person_id}.{until}.{self.proof(f'{person_id}.{until}')}"

    def _person_of(self, ticket: str) -> str:
        person_id, _, rest = ticket.partition(".")
        until, _, proof = rest.partition(".")
        genuine = hmac.compare_digest(self.proof(f"{person_id}.{until}").encode(), proof.encode())
        if not genuine or int(until) < self._ctx.kernel.clock.now():
            raise DeniedError("this sign-in took too long; begin again", anonymous=True)
        return person_id

    def proof(self, text: str) -> str:
        """That a text is ours; for forms."""
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    async def _open(self, request: HTTPConnection, actor: Actor) -> str:
        agent, rng = request.headers.get("user-agent", ""), self._ctx.kernel.rng

        def work(tx: Tx) -> str:
            owner_id = governance.personal_owner(tx.conn, actor.user_id)
            record(tx, actor, "sign-in", owner_id=owner_id, subject=actor.user_id, request=request)
            return accounts.open_session(tx, actor, source=source_of(request), agent=agent, rng=rng)

        return await self._ctx.write(work)

    async def sign_out(self, request: HTTPConnection) -> None:
        cookie = request.cookies.get(COOKIE, "")
        if cookie:
            await self._ctx.write(lambda tx: accounts.close_session(tx, cookie))

    async def _actor(self, request: HTTPConnection) -> Actor:
        now, cookie = self._ctx.kernel.clock.now(), request.cookies.get(COOKIE, "")
        return await self._ctx.read(lambda conn: governance.authenticate_session(conn, cookie, now=now))

    # what somebody signed in may allow

    async def allow_cli(self, request: HTTPConnection, cli_token: str) -> None:
        """The command line that chose `cli_token` may act for the person. Raises InvalidError."""
        actor, rng = await self._actor(request), self._ctx.kernel.rng

        def work(tx: Tx) -> None:
            governance.bind_cli_token(tx, actor, cli_token=cli_token, rng=rng)
            owner_id = governance.personal_owner(tx.conn, actor.user_id)
            record(tx, actor, "cli.allow", owner_id=owner_id, subject=actor.user_id, request=request)

        await self._ctx.write(work)

    async def consumer_asking(self, token: str) -> tuple[str, list[str], str]:
        """The consumer's name, the rights that it asks for, the origin that it sends to. Raises NotFoundError."""
        now = self._ctx.kernel.clock.now()
        found, consumer = await self._ctx.read(lambda conn: consumers.asked_for(conn, token, now=now))
        to = urlsplit(found.callback)
        origin = f"{to.scheme}://{to.netloc}" if to.netloc else ""
        return str(consumer.name), [str(each).replace("_", " ") for each in found.rights], origin

    async def allow_consumer(self, request: HTTPConnection, token: str) -> tuple[str, str]:
        """Returns where the person goes next, and the verifier for a consumer that has no address."""
        actor, rng = await self._actor(request), self._ctx.kernel.rng

        def work(tx: Tx) -> tuple[str, str]:
            callback, verifier = consumers.allow(tx, actor, token, rng=rng)
            owner_id = governance.personal_owner(tx.conn, actor.user_id)
            record(tx, actor, "consumer.allow", owner_id=owner_id, subject=token[:8], request=request)
            return callback, verifier

        callback, verifier = await self._ctx.write(work)
        if callback == consumers.OUT_OF_BAND:
            return "", verifier
        parts = urlsplit(callback)
        added = urlencode({"oauth_token": token, "oauth_verifier": verifier})
        query = "&".join(each for each in (parts.query, added) if each)
        return urlunsplit(parts._replace(query=query)), verifier

    async def confirm_email(self, proof: str) -> str:
        """Returns the address. Raises NotFoundError."""
        return await self._ctx.write(lambda tx: accounts.confirm_email(tx, proof))

    # invitations

    async def invitation(self, proof: str) -> tuple[str, str, bool]:
        """The organisation, the address that was invited, and whether it has an account. Raises NotFoundError."""
        now = self._ctx.kernel.clock.now()

        def look(conn: sa.Connection) -> tuple[str, str, bool]:
            found, owner = organisations.invitation(conn, proof, now=now)
            known = governance.person_by_email(conn, found.email) is not None
            return str(owner.name), str(found.email), known

        return await self._ctx.read(look)

    async def accept(self, request: HTTPConnection, proof: str) -> str:
        """The person who is signed in joins; returns the organisation's name."""
        actor = await self._actor(request)

        def work(tx: Tx) -> str:
            found, owner = organisations.invitation(tx.conn, proof, now=tx.now)
            record(tx, actor, "member.join", owner_id=owner.id, subject=found.email, request=request)
            return organisations.accept(tx, proof, actor)

        return await self._ctx.write(work)

    async def join(self, request: HTTPConnection, proof: str, *, name: str, password: str) -> Entry:
        """Make the account of the address that was invited, sign it in, and have it join."""
        self._count(request, proof)
        rng = self._ctx.kernel.rng

        def work(tx: Tx) -> Actor:
            found, owner = organisations.invitation(tx.conn, proof, now=tx.now)
            accounts.check_new_password(password)
            made = governance.new_credentials(rng, email=found.email, name=name)
            made = governance.with_password(made, password)
            person = governance.add_person(tx, made, is_operator=False, rng=rng)
            actor = Actor(person.id, person.name, person.email, via="session")
            record(tx, actor, "member.join", owner_id=owner.id, subject=found.email, request=request)
            organisations.accept(tx, proof, actor)
            return actor

        return Entry(cookie=await self._open(request, await self._ctx.write(work)))

    async def owner_of(self, request: HTTPConnection, id: str) -> str:
        """Whose the app is. Raises NotFoundError."""
        actor = await self._actor(request)
        return str((await self._ctx.read(lambda conn: found_app(conn, actor, "self", id))).owner_id)

    # the account itself

    async def change_password(self, request: HTTPConnection, *, old: str, new: str) -> None:
        actor, rng = await self._actor(request), self._ctx.kernel.rng
        self._count(request, actor.email)

        def work(tx: Tx) -> None:
            accounts.change_password(tx, actor, old=old, new=new, rng=rng)
            owner_id = governance.personal_owner(tx.conn, actor.user_id)
            record(tx, actor, "password.change", owner_id=owner_id, subject=actor.user_id, request=request)

        await self._ctx.write(work)

    async def begin_factor(self, request: HTTPConnection) -> tuple[str, str]:
        """The secret and what an authenticator app reads."""
        actor, rng = await self._actor(request), self._ctx.kernel.rng
        secret = await self._ctx.write(lambda tx: accounts.begin_factor(tx, actor, rng=rng))
        return secret, totp.uri(secret, account=actor.email, issuer="Havre")

    async def confirm_factor(self, request: HTTPConnection, code: str) -> list[str]:
        """The spare codes."""
        actor, rng = await self._actor(request), self._ctx.kernel.rng
        self._count(request, actor.email)

        def work(tx: Tx) -> list[str]:
            owner_id = governance.personal_owner(tx.conn, actor.user_id)
            record(tx, actor, "factor.confirm", owner_id=owner_id, subject=actor.user_id, request=request)
            return accounts.confirm_factor(tx, actor, code, rng=rng)

        return await self._ctx.write(work)


def _seen(conn: sa.Connection, cookie: str, now: int) -> tuple[Actor, int, bool]:
    actor = governance.authenticate_session(conn, cookie, now=now)
    return actor, accounts.session_seen_at(conn, cookie), accounts.needs_code(conn, actor.user_id)
