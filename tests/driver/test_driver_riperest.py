"""The RIPE database's REST form, against a local server that answers in it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import anyio
import pytest

from havre.base.errors import ConflictError, DeniedError, HavreError, InvalidError, NotFoundError, UnavailableError
from havre.base.secret import Secret
from havre.drivers.irr import rpsl
from havre.drivers.riperest import ApiKey, Database

ROUTE = rpsl.of(
    [
        ("route", "198.51.100.0/24"),
        ("descr", "ours # and nobody's else"),
        ("origin", "AS64510"),
        ("mnt-by", "OUR-MNT"),
        ("source", "TEST"),
    ]
)
KEY = ApiKey("ID", Secret("word"))
ERRORS = {
    400: ('Mandatory attribute "%s" is missing', "mnt-by"),
    401: ("Authorisation for [%s] failed", "198.51.100.0/24AS64510"),
    404: ("%s not found", "x"),
    409: ("The object already exists: %s", "x"),
}


class Server(ThreadingHTTPServer):
    """Keeps objects by class and key; writes are refused without the key of `KEY`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[str, str, dict[str, list[str]]]] = []
        self.says: bytes | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        source, kind, *rest = unquote(url.path).strip("/").split("/", 2)
        key, params = (rest[0] if rest else ""), parse_qs(url.query, keep_blank_values=True)
        self.server.asked.append((self.command, url.path, params))
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        assert source == "test"
        if self.server.says is not None:
            self.answer(200, self.server.says)
            return
        wanted = "Basic " + base64.b64encode(b"ID:word").decode()
        if self.command != "GET" and self.headers.get("authorization") != wanted:
            self.refuse(401)
            return
        if self.command in ("POST", "PUT"):
            tree = json.loads(sent)["objects"]["object"][0]
            rows = tree["attributes"]["attribute"]
            named = {row["name"]: row["value"] for row in rows}
            own = named[kind] + (named["origin"] if kind.startswith("route") else "")
            if "mnt-by" not in named:
                self.refuse(400)
            elif self.command == "POST" and (kind, own) in self.server.kept:
                self.refuse(409)
            elif self.command == "PUT" and (kind, key) not in self.server.kept:
                self.refuse(404)
            else:
                if "dry-run" not in params:
                    self.server.kept[(kind, own)] = tree
                self.give(tree)
        elif (kind, key) not in self.server.kept:
            self.refuse(404)
        elif self.command == "DELETE" and "dry-run" not in params:
            self.give(self.server.kept.pop((kind, key)))
        else:
            self.give(self.server.kept[(kind, key)])

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def give(self, tree: Any) -> None:
        notice = {"severity": "Info", "text": "Dry-run performed, no changes to the database have been made"}
        self.answer(
            200, json.dumps({"objects": {"object": [tree]}, "errormessages": {"errormessage": [notice]}}).encode()
        )

    def refuse(self, status: int) -> None:
        text, about = ERRORS[status]
        told = {
            "severity": "Error",
            "text": text,
            "args": [{"value": about}],
            "attribute": {"name": "route", "value": "x"},
        }
        self.answer(status, json.dumps({"errormessages": {"errormessage": [told]}}).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def database(server: Server, **options: Any) -> Database:
    return Database(url=f"http://127.0.0.1:{server.server_port}", source="TEST", **options)


def test_an_object_is_created_read_modified_and_deleted(server: Server) -> None:
    async def call() -> None:
        at, key = database(server, key=KEY), "198.51.100.0/24AS64510"
        assert await at.get("route", key) is None
        made = await at.create(ROUTE)
        assert made.object == ROUTE and str(made.notices[0]).startswith("Info: Dry-run")
        assert await at.get("route", key) == ROUTE
        changed = rpsl.of([(each.name, each.text) for each in ROUTE.attributes] + [("remarks", "x")])
        assert (await at.modify(changed, key=key)).object == changed
        await at.delete("route", key, why="over")
        assert await at.get("route", key) is None

    anyio.run(call)
    assert ("GET", "/test/route/198.51.100.0/24AS64510", {"unfiltered": ["true"]}) in server.asked
    assert ("DELETE", "/test/route/198.51.100.0/24AS64510", {"reason": ["over"]}) in server.asked


def test_a_trial_changes_nothing(server: Server) -> None:
    anyio.run(database(server, key=KEY, is_trial=True).create, ROUTE)
    assert server.kept == {} and server.asked[0][2] == {"dry-run": ["true"]}


def test_a_refusal_comes_in_the_registrys_words_and_without_the_key(server: Server) -> None:
    async def call(error: type[HavreError], match: str, doing: Any) -> None:
        with pytest.raises(error, match=match) as caught:
            await doing
        assert "word" not in str(caught.value) and "word" not in repr(caught.value.facts)

    async def all_of_them() -> None:
        at = database(server, key=KEY)
        await call(DeniedError, r"Authorisation for \[198.51", database(server).create(ROUTE))
        await call(
            InvalidError,
            'Mandatory attribute "mnt-by" is missing',
            at.create(rpsl.of([("route", "10.0.0.0/8"), ("origin", "AS1")])),
        )
        await at.create(ROUTE)
        await call(ConflictError, "already exists", at.create(ROUTE))
        await call(NotFoundError, "not found", at.delete("route", "10.0.0.0/8AS1", why=""))
        await call(InvalidError, "not a class", at.get("../route", "x"))

    anyio.run(all_of_them)
    assert "word" not in repr(database(server, key=KEY))


@pytest.mark.parametrize(
    "said",
    [b"", b"<html>", b"[]", b"{}", b'{"objects": {"object": []}}', b'{"objects": {"object": [{"attributes": 1}]}}'],
)
def test_what_is_no_answer_is_said_so(server: Server, said: bytes) -> None:
    server.says = said
    with pytest.raises(UnavailableError, match="the answer is not one object"):
        anyio.run(database(server).get, "route", "x")


def test_nobody_there_is_said_so() -> None:
    with pytest.raises(UnavailableError, match="did not answer"):
        anyio.run(Database(url="http://127.0.0.1:1", limit_s=5).get, "route", "x")
