"""What is malformed, oversized, slow, too often or not built: answered in the contract's shape, and never our insides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from havre.api import bodies
from havre.api.bodies import Shaped
from tests.room.api_rig import ORIGIN, ApiRig, api_rig

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path) as made:
        yield made


def check_shape(answer: httpx.Response) -> None:
    body = answer.json()
    assert set(body) >= {"id", "message", "type"} and body["type"] == "error", answer.text
    assert "Traceback" not in answer.text and "sqlalchemy" not in answer.text.lower() and "/src/" not in answer.text


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/v2/github/applications", "/v4/kubernetes/x", "/v4/networkgroups/organisations/x", "/v2/x"]
)
async def test_what_is_not_built_says_so_to_who_is_signed_in(rig: ApiRig, method: str, path: str) -> None:
    answer = await rig.operator.call(method, path, {} if method != "GET" else None)
    check_shape(answer)
    assert (answer.status_code, answer.json()["message"]) == (404, "not offered by this installation")
    assert (await rig.client.request(method, path)).status_code == 401


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"name": 1}', b'{"name": "\\ud800"}',
                                     b'{"name": "' + b"x" * 5000 + b'"}', b"[" * 5000, b'{"name": null}'])  # fmt: skip
async def test_a_malformed_body_is_400(rig: ApiRig, content: bytes) -> None:
    headers = rig.operator.headers | {"content-type": "application/json"}
    answer = await rig.client.post("/v2/organisations", content=content, headers=headers)
    assert answer.status_code == 400
    check_shape(answer)


async def test_an_oversized_body_is_413_whether_or_not_it_says_its_size(rig: ApiRig) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * (bodies.BODY_LIMIT // 2)

    for content in (b"x" * (bodies.BODY_LIMIT + 1), parts()):
        answer = await rig.client.post("/v2/organisations", content=content, headers=rig.operator.headers)
        assert answer.status_code == 413
        check_shape(answer)


async def test_a_slow_body_is_given_up() -> None:
    sent: list[Any] = []

    async def never() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(*_: Any) -> None:
        raise AssertionError("the application was reached")

    scope = {"type": "http", "method": "POST", "path": "/v2/x", "headers": [(b"content-length", b"5")]}
    with anyio.fail_after(5):
        await Shaped(app, limit_s=0.05)(scope, never, send)
    assert sent[0]["status"] == 408 and (b"connection", b"close") in sent[0]["headers"]


async def test_a_broken_thing_inside_is_500_without_our_insides(rig: ApiRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("havre.governance.owners_of", broken)
    answer = await rig.operator.call("GET", "/v2/organisations")
    assert answer.status_code == 500 and "secret" not in answer.text
    check_shape(answer)


async def test_another_organisations_id_says_what_an_unknown_one_says(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator, "Very Secret Name")
    app = await rig.create_app(rig.operator, owner)
    stranger = await rig.person("stranger")
    unknown = "00000000-0000-4000-8000-000000000000"
    pairs = [
        (f"/v2/organisations/{owner}", f"/v2/organisations/orga_{unknown}"),
        (f"/v2/organisations/{owner}/applications/{app}", f"/v2/organisations/{owner}/applications/app_{unknown}"),
        (f"/v2/self/applications/{app}", f"/v2/self/applications/app_{unknown}"),
        (f"/v2/organisations/{stranger.space}/applications/{app}", f"/v2/self/applications/app_{unknown}"),
    ]
    for theirs, nobodys in pairs:
        first, second = await stranger.call("GET", theirs), await stranger.call("GET", nobodys)
        assert (first.status_code, first.text) == (second.status_code, second.text)
        assert "Very Secret" not in first.text


async def test_pushes_are_limited_for_an_app(rig: ApiRig) -> None:
    app = await rig.create_app(rig.operator, "self")
    own = rig.operator.credentials
    seen = set()
    kind = {"content-type": "application/x-git-receive-pack-request"}
    for _ in range(61):
        answer = await rig.client.post(
            f"{ORIGIN}/git/{app}.git/git-receive-pack", content=b"0000", auth=(own.token, own.secret), headers=kind
        )
        seen.add(answer.status_code)
    assert answer.status_code == 429 and answer.headers["retry-after"] == "60" and 200 in seen


async def test_a_repository_is_its_apps_peoples(rig: ApiRig) -> None:
    app = await rig.create_app(rig.operator, "self")
    stranger = (await rig.person("stranger")).credentials
    path = f"{ORIGIN}/git/{app}.git/info/refs?service=git-upload-pack"
    first = await rig.client.get(path)
    assert first.status_code == 401 and first.headers["www-authenticate"].startswith("Basic")
    assert (await rig.client.get(path, auth=("x", "y"))).status_code == 401
    assert (await rig.client.get(path, auth=(stranger.token, stranger.secret))).status_code == 404
