"""The served OpenAPI document against the API: whatever is sent, no 5xx and no answer in another shape."""

from __future__ import annotations

import asyncio
import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import Case

from havre.apps.repos import decide_push
from havre.base.errors import InvalidError
from havre.governance import signatures
from havre.governance.accounts import parse_key
from tests.room.api_rig import ApiRig, api_rig, plaintext

STREAMS = "/(logs|accesslogs|changes|live)$"
ODD = [
    "",
    " ",
    "0",
    "-1",
    "null",
    "true",
    "[]",
    "{}",
    "'",
    '"',
    "..",
    "%2e%2e",
    "é",
    "𝒳",
    "\t",
    "a" * 300,
    "1e999",
    "NaN",
]


class Running:
    """The API in a loop of its own, for callers that are not asynchronous."""

    def __init__(self, place: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._rig = api_rig(place)
        self.rig: ApiRig = self._loop.run_until_complete(self._rig.__aenter__())
        self.owner = self._loop.run_until_complete(self.rig.organisation(self.rig.operator))
        self.app = self._loop.run_until_complete(self.rig.create_app(self.rig.operator, self.owner))
        own = self.rig.operator.credentials
        self.header = {"authorization": plaintext(own.token, own.secret)}

    def request(self, method: str, url: str, **sent: Any) -> httpx.Response | None:
        """None: the client itself cannot send this."""
        try:
            return self._loop.run_until_complete(self.rig.client.request(method, url, **sent))
        except (httpx.InvalidURL, UnicodeError, httpx.UnsupportedProtocol):
            return None

    def close(self) -> None:
        self._loop.run_until_complete(self._rig.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = Running(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.close()


def check(answer: httpx.Response | None, what: str) -> None:
    if answer is None:
        return
    assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.text[:300]}"
    if answer.status_code >= 400 and answer.headers.get("content-type", "").startswith("application/json"):
        assert "message" in answer.json() or "error" in answer.json(), answer.text


def document(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = running.request("GET", "/openapi.json").json()  # type: ignore[union-attr]
    return found


def fuzz_document(running: Running, *, headers: dict[str, str], examples: int) -> None:
    """Every operation of the document, `examples` times each, with ids that are there where the path wants some."""
    schema = schemathesis.openapi.from_dict(document(running)).exclude(path_regex=STREAMS)
    known = {"owner_id": running.owner, "app_id": running.app}

    for operation in schema.get_all_operations():
        strategy = operation.ok().as_strategy()

        @given(case=strategy)
        @settings(max_examples=examples, deadline=None, derandomize=True, database=None,
                  phases=(hypothesis.Phase.generate,), suppress_health_check=list(hypothesis.HealthCheck))  # fmt: skip
        def one(case: Case) -> None:
            for name in known.keys() & (case.path_parameters or {}).keys():
                if len(str(case.path_parameters[name])) % 2:  # half of the time
                    case.path_parameters[name] = known[name]
            sent = case.as_transport_kwargs(base_url="https://localhost:8443")
            sent["headers"] = {**{k: v for k, v in (sent.get("headers") or {}).items() if v.isascii()}, **headers}
            if isinstance(sent.get("data"), bytes):
                sent["content"] = sent.pop("data")
            check(running.request(**{k: v for k, v in sent.items() if k in KEPT}), f"{case.method} {case.path}")

        one()


KEPT = ("method", "url", "params", "json", "data", "content", "headers")


def test_the_document_is_served_whatever_is_sent_without_authority(running: Running) -> None:
    fuzz_document(running, headers={}, examples=1)


def test_the_document_is_served_whatever_is_sent_with_authority(running: Running) -> None:
    fuzz_document(running, headers=running.header, examples=3)


@pytest.mark.soak
def test_the_document_is_served_whatever_is_sent_for_long(running: Running) -> None:
    fuzz_document(running, headers={}, examples=30)
    fuzz_document(running, headers=running.header, examples=100)


def random_call(
    rng: random.Random, paths: list[tuple[str, str]], running: Running
) -> tuple[str, str, Any, dict[str, str]]:
    method, path = rng.choice(paths)
    names = {"owner_id": [running.owner, "self", running.rig.operator.id], "app_id": [running.app]}

    def value(name: str) -> str:
        good = names.get(name, [])
        text = rng.choice([*good, *good, *good, *ODD, "".join(rng.choices(string.printable, k=rng.randint(0, 30)))])
        from urllib.parse import quote

        return quote(text, safe="") or "x"

    parts = path.replace("}", "{").split("{")
    filled = "".join(value(each) if index % 2 else each for index, each in enumerate(parts))
    query = rng.choice(["", "", "?limit=x", "?limit=-5", "?offset=99999999999999999999", "?a=%ff", "?limit=1&limit=2"])
    body = rng.choice([None, {}, [], "", 0, [[]], {"name": rng.choice(ODD)}, {"name": None}, {"value": 1}, {"x": "y"}])
    headers = rng.choice(
        [running.header, running.header, {}, {"authorization": "OAuth x"}, {"authorization": "Bearer \x7f"}]
    )
    return method, filled + query, body, headers


def call_at_random(running: Running, count: int, seed: int) -> None:
    rng = random.Random(seed)
    found = document(running)["paths"]
    paths = [(method.upper(), path) for path, methods in found.items() for method in methods]
    paths = [
        each
        for each in paths
        if not each[1].endswith(("logs", "changes", "/live")) and each != ("DELETE", "/v2/self/tokens/{token}")
    ]
    for _ in range(count):
        method, path, body, headers = random_call(rng, paths, running)
        content = json.dumps(body).encode() if body is not None else b""
        sent = headers | {
            "content-type": rng.choice(["application/json", "text/plain", "application/x-www-form-urlencoded"])
        }
        check(running.request(method, path, content=content, headers=sent), f"{method} {path} {content[:80]!r}")


def test_five_hundred_random_calls_leave_no_5xx(running: Running) -> None:
    call_at_random(running, 500, seed=1)


@pytest.mark.soak
def test_ten_thousand_random_calls_leave_no_5xx(running: Running) -> None:
    call_at_random(running, 10_000, seed=2)


# the parsers of what arrives


@given(st.text(max_size=300) | st.text(alphabet='OAuth ="_,%abc0\x00é', max_size=120))
def test_a_signature_is_parsed_or_refused(text: str) -> None:
    for header in (text, f"OAuth {text}", f'OAuth oauth_consumer_key="k", oauth_token="t", oauth_signature="{text}"'):
        try:
            found = signatures.parse(header)
        except InvalidError:
            continue
        for method in ("PLAINTEXT", "HMAC-SHA1", found.method):
            signed = signatures.Signed(found.consumer_key, found.token, found.signature, method, fields=found.fields)
            url = "https://localhost:8443/v2/self?a=b"
            assert not signatures.verify(signed, consumer_secret="c", token_secret="s" * 40, method="GET", url=url)


@given(st.text(max_size=200), st.text(max_size=80))
def test_a_key_is_parsed_or_refused(kind: str, blob: str) -> None:
    for text in (kind, f"ssh-ed25519 {blob}", f"{kind} {blob}"):
        with pytest.raises(InvalidError):
            parse_key(text)


NAMES = ("refs/heads/master", "refs/heads/main")


@given(
    st.lists(
        st.tuples(st.text(max_size=50), st.text(max_size=50), st.text(max_size=80) | st.sampled_from(NAMES)), max_size=5
    ),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
)
def test_a_push_is_a_deploy_or_is_refused_with_a_reason(
    updates: list[tuple[str, str, str]], size: int, limit: int
) -> None:
    answer = decide_push(updates, branch="main", size_bytes=size, limit_bytes=limit)
    assert answer.ok or answer.lines
    assert not answer.ok or (size <= limit and all(ref in NAMES for _, _, ref in updates))


@pytest.mark.parametrize("service", ["git-receive-pack", "git-upload-pack"])
def test_whatever_is_pushed_is_answered(running: Running, service: str) -> None:
    own, rng = running.rig.operator.credentials, random.Random(3)
    kind = {"content-type": f"application/x-{service}-request"}
    for _ in range(20):
        content = rng.choice([b"", b"0000", b"0001", b"zzzz", b"0004", b"ffff", b"00000000", rng.randbytes(200),
                              b"00a0" + b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/../x\0 report-status" + b"0000"])  # fmt: skip
        answer = running.request(
            "POST", f"/git/{running.app}.git/{service}", content=content, headers=kind, auth=(own.token, own.secret)
        )
        assert answer is not None and (answer.status_code < 500 or answer.status_code == 503), answer
