"""The whole API in this process, on a real store: what a test of the wire needs, without an edge and without instances."""

from __future__ import annotations

import atexit
import base64
import dataclasses
import functools
import hashlib
import hmac
import random
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import anyio
import httpx
import structlog

from havre import api, apps, console, daemon, governance
from havre.drivers.x509.authority import open_authority
from havre.governance import CLI_CONSUMER, Actor, Credentials
from havre.kernel import config as settings
from havre.kernel.events import Bus
from havre.kernel.kernel import Kernel
from havre.kernel.operations import SCHEMA as OPERATIONS
from havre.kernel.rooms import Room
from havre.kernel.store import Store, Tx, events_schema

ORIGIN = "https://localhost:8443"
structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])


class HandClock:
    """A clock that a test moves, and that ticks besides when told so. Waits are real."""

    def __init__(self, *, ticks: bool = False) -> None:
        self.at = 1_800_000_000_000
        self.ahead_ms = 0  # what the wall clock has jumped by
        self._began = time.monotonic() if ticks else None

    def now(self) -> int:
        return int(self.monotonic() * 1000) + self.ahead_ms

    def monotonic(self) -> float:
        return self.at / 1000 + (time.monotonic() - self._began if self._began is not None else 0)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds if self._began is not None else min(seconds, 0.01))


@dataclass
class Person:
    """Somebody with an account, and how they ask."""

    rig: ApiRig
    credentials: Credentials

    @property
    def id(self) -> str:
        return self.credentials.user_id

    @property
    def space(self) -> str:
        return self.credentials.owner_id

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": plaintext(self.credentials.token, self.credentials.secret)}

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.rig.client.request(method, path, json=body, headers={**self.headers, **headers})

    async def get(self, path: str) -> Any:
        answer = await self.call("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def do(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.call(method, path, body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    @property
    def actor(self) -> Actor:
        return Actor(self.credentials.user_id, self.credentials.name, self.credentials.email)


@dataclass
class ApiRig:
    kernel: Kernel
    rooms: tuple[Room, ...]
    apps: apps.Apps
    app: Any
    client: httpx.AsyncClient
    clock: HandClock
    operator: Person = None  # type: ignore[assignment]

    async def person(self, name: str, *, is_operator: bool = False) -> Person:
        made = governance.new_credentials(self.kernel.rng, email=f"{name}@example.test", name=name)
        await self.kernel.store.write(
            lambda tx: governance.add_person(tx, made, is_operator=is_operator, rng=self.kernel.rng)
        )
        return Person(self, made)

    async def organisation(self, admin: Person, name: str = "Acme") -> str:
        found: str = (await admin.do("POST", "/v2/organisations", {"name": name}))["id"]
        return found

    async def join(self, admin: Person, owner: str, person: Person, role: str) -> None:
        body = {"email": person.credentials.email, "role": role}
        await admin.do("POST", f"/v2/organisations/{owner}/members", body)

    async def create_app(self, person: Person, owner: str, name: str = "web") -> str:
        body = {"name": name, "instanceType": "node"}
        found: str = (await person.do("POST", f"/v2/organisations/{owner}/applications", body))["id"]
        return found

    async def write(self, work: Any) -> Any:
        return await self.kernel.store.write(work)

    async def audit(self, person: Person, owner: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await person.get(f"/v2/organisations/{owner}/audit?limit=1000")
        return found


@asynccontextmanager
async def api_rig(
    place: Path, *, store_url: str = "", ticks: bool = False, **tables: dict[str, Any]
) -> AsyncIterator[ApiRig]:
    """An installation of the API below `place`; `tables` are settings, such as mail={"host": …}.

    Its sockets stand in a folder of their own, for a socket's path is short.
    """
    with tempfile.TemporaryDirectory(prefix="hva", dir="/tmp") as run:
        async with _api_rig(place, Path(run) / "run", store_url=store_url, ticks=ticks, tables=tables) as made:
            yield made


@functools.cache
def _authority() -> Path:
    """The internal authority of all installations here: making one takes longer than most tests."""
    made = Path(tempfile.mkdtemp(prefix="hva"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    open_authority(made / "ca", now=HandClock().now())
    return made / "ca"


@asynccontextmanager
async def _api_rig(
    place: Path, run: Path, *, store_url: str, ticks: bool, tables: dict[str, dict[str, Any]]
) -> AsyncIterator[ApiRig]:
    clock = HandClock(ticks=ticks)
    overrides = {f"{table}.{key}": value for table, values in tables.items() for key, value in values.items()}
    config = settings.load(None, overrides)
    paths = dataclasses.replace(settings.paths_of(place / "data"), run=run)
    paths.create()
    shutil.copytree(_authority(), paths.edge / "ca")
    kernel = daemon.build_kernel(config, paths)
    kernel.store.close()
    bus = Bus()
    store = Store.open(store_url or f"sqlite:///{place / 'state.db'}", clock=clock, bus=bus)
    operations = kernel.operations
    operations._store, operations._bus, operations._clock = store, bus, clock
    kernel = dataclasses.replace(kernel, store=store, bus=bus, clock=clock, rng=random.Random(7))
    rooms, face = daemon.build_rooms(kernel)
    schemas = [room.schema for room in rooms if room.schema is not None]
    await store.migrate([events_schema(), OPERATIONS, *schemas])
    app = api.create_app(kernel, rooms, face, pages=console.pages)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=("192.0.2.7", 1))
    headers = {"x-forwarded-for": "192.0.2.7"}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers, trust_env=False) as client:
        made = ApiRig(kernel, rooms, face, app, client, clock)
        made.operator = await made.person("operator", is_operator=True)
        try:
            yield made
        finally:
            store.close()


def plaintext(token: str, secret: str, consumer: tuple[str, str] = CLI_CONSUMER) -> str:
    return (
        f'OAuth oauth_consumer_key="{consumer[0]}", oauth_token="{token}", oauth_signature="{consumer[1]}%26{secret}"'
    )


def signed(
    method: str,
    url: str,
    *,
    at: int,
    token: str = "",
    secret: str = "",
    consumer: tuple[str, str] = CLI_CONSUMER,
    algorithm: str = "HMAC-SHA512",
    nonce: str = "n0nce",
    form: dict[str, str] | None = None,
    signs_query: bool = True,
    more: dict[str, str] | None = None,
) -> str:
    """A header as RFC 5849 has it, made without the code that checks it."""
    fields = {
        "oauth_consumer_key": consumer[0],
        "oauth_nonce": nonce,
        "oauth_signature_method": algorithm,
        "oauth_timestamp": str(at // 1000),
        "oauth_version": "1.0",
    } | (more or {})
    if token:
        fields["oauth_token"] = token
    parts = urlsplit(url)
    pairs = [*fields.items(), *(form or {}).items()]
    if signs_query:
        pairs += parse_qsl(parts.query, keep_blank_values=True)
    joined = "&".join(f"{name}={value}" for name, value in sorted((_q(name), _q(value)) for name, value in pairs))
    host = parts.netloc.lower().removesuffix(":443") if parts.scheme == "https" else parts.netloc.lower()
    base = f"{method}&{_q(f'{parts.scheme}://{host}{parts.path}')}&{_q(joined)}"
    digest = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256, "HMAC-SHA512": hashlib.sha512}[algorithm]
    made = hmac.new(f"{_q(consumer[1])}&{_q(secret)}".encode(), base.encode(), digest).digest()
    fields["oauth_signature"] = base64.b64encode(made).decode()
    return "OAuth " + ", ".join(f'{name}="{_q(value)}"' for name, value in fields.items())


def _q(text: str) -> str:
    return quote(text, safe="~")


class Page:
    """A browser in this process: cookies, forms."""

    def __init__(self, rig: ApiRig) -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=rig.app), base_url=ORIGIN, headers={"x-forwarded-for": "192.0.2.8"}
        )
        self.seen: httpx.Response = None  # type: ignore[assignment]

    async def open(self, path: str) -> httpx.Response:
        self.seen = await self.client.get(path)
        while self.seen.is_redirect and self.seen.headers["location"].startswith("/"):
            self.seen = await self.client.get(self.seen.headers["location"])
        return self.seen

    async def fill(self, action: str = "", **values: str) -> httpx.Response:
        """Send the form (the one with `action`, else the first) and follow where it leads on our own site."""
        forms = re.findall(r'<form method="post" action="([^"]*)">(.*?)</form>', self.seen.text, re.S)
        assert forms, self.seen.text
        target, inside = next(each for each in forms if action in each[0])
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', inside))
        content = {name: unescape(value) for name, value in hidden.items()} | values
        self.seen = await self.client.post(target, data=content)
        if self.seen.is_redirect and self.seen.headers["location"].startswith("/"):
            return await self.open(self.seen.headers["location"])
        return self.seen


async def signed_in(rig: ApiRig, person: Person) -> Page:
    page = Page(rig)
    await page.open("/login")
    await page.fill(email=person.credentials.email, password=person.credentials.password)
    return page


__all__ = ["ApiRig", "Page", "Person", "Tx", "api_rig", "plaintext", "signed", "signed_in"]
