"""How requests are signed, and what of it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from havre.governance import CLI_CONSUMER, signatures
from tests.room.api_rig import ORIGIN, ApiRig, api_rig, plaintext, signed

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path) as made:
        yield made


async def status(rig: ApiRig, header: str, path: str = "/v2/self", method: str = "GET", **more: object) -> int:
    answer = await rig.client.request(method, path, headers={"authorization": header}, **more)  # type: ignore[arg-type]
    assert "message" in answer.json() or answer.is_success
    return answer.status_code


@pytest.mark.parametrize("algorithm", ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512"])
async def test_a_signed_request_is_served_once(rig: ApiRig, algorithm: str) -> None:
    own = rig.operator.credentials
    pair = {"token": own.token, "secret": own.secret, "at": rig.clock.at, "algorithm": algorithm}
    header = signed("GET", f"{ORIGIN}/v2/self", **pair)
    assert await status(rig, header) == 200
    assert await status(rig, header) == 401, "a replay was served"
    assert await status(rig, signed("GET", f"{ORIGIN}/v2/self", nonce="another", **pair)) == 200


async def test_the_query_may_be_signed_or_left_out(rig: ApiRig) -> None:
    own, path = rig.operator.credentials, "/v2/organisations?a=1&a=2&b=%C3%A9+x"
    for number, signs_query in enumerate((True, False)):
        header = signed("GET", ORIGIN + path, at=rig.clock.at, token=own.token, secret=own.secret,
                        nonce=f"q{number}", signs_query=signs_query)  # fmt: skip
        assert await status(rig, header, path) == 200


async def test_a_form_is_a_part_of_what_is_signed(rig: ApiRig) -> None:
    own, path, form = rig.operator.credentials, "/v2/nothing-here", {"name": "a b&c"}
    header = signed("POST", ORIGIN + path, at=rig.clock.at, token=own.token, secret=own.secret, form=form)
    assert await status(rig, header, path, "POST", data=form) == 404
    header = signed("POST", ORIGIN + path, at=rig.clock.at, token=own.token, secret=own.secret, form=form, nonce="x")
    assert await status(rig, header, path, "POST", data={"name": "other"}) == 401


@pytest.mark.parametrize("drift_s", [-signatures.WINDOW_S - 1, signatures.WINDOW_S + 1])
async def test_a_signature_of_another_time_is_refused(rig: ApiRig, drift_s: int) -> None:
    own = rig.operator.credentials
    header = signed("GET", f"{ORIGIN}/v2/self", at=rig.clock.at + drift_s * 1000, token=own.token, secret=own.secret)
    assert await status(rig, header) == 401


async def test_another_method_or_path_is_not_what_was_signed(rig: ApiRig) -> None:
    own = rig.operator.credentials
    header = signed("GET", f"{ORIGIN}/v2/self", at=rig.clock.at, token=own.token, secret=own.secret)
    assert await status(rig, header, "/v2/organisations") == 401


async def test_wrong_foreign_and_expired_credentials_are_refused_in_the_same_words(rig: ApiRig) -> None:
    own, other = rig.operator.credentials, (await rig.person("other")).credentials
    wrong = [
        plaintext(own.token, "wrong"),
        plaintext("unknown", own.secret),
        plaintext(own.token, other.secret),
        plaintext(own.token, own.secret, (CLI_CONSUMER[0], "wrong")),
        plaintext(own.token, own.secret, ("unknown", CLI_CONSUMER[1])),
        "Bearer wrong",
        "Bearer " + own.token,
    ]
    said = {(await rig.client.get("/v2/self", headers={"authorization": each})).text for each in wrong}
    assert len(said) == 1 and "not valid" in said.pop()
    rig.clock.at += 11 * 366 * 86_400_000
    assert await status(rig, plaintext(own.token, own.secret)) == 401


async def test_a_clock_that_jumps_ahead_ends_a_token_only_when_it_is_believed(rig: ApiRig) -> None:
    own, app = rig.operator.credentials, await rig.create_app(rig.operator, "self")
    path = f"{ORIGIN}/git/{app}.git/info/refs?service=git-receive-pack"

    async def answers() -> tuple[int, int]:
        pushes = await rig.client.get(path, auth=(own.token, own.secret))
        return await status(rig, plaintext(own.token, own.secret)), pushes.status_code

    assert await answers() == (200, 200)
    rig.clock.ahead_ms = 3660 * DAY_MS
    assert await answers() == (200, 200)
    late = signed("GET", f"{ORIGIN}/v2/self", at=rig.clock.at, token=own.token, secret=own.secret)
    assert await status(rig, late) == 401, "a signature has the time in it"
    rig.clock.at += DAY_MS + 60_000
    assert await answers() == (401, 401)
    rig.clock.ahead_ms = 0
    assert await answers() == (200, 200)


async def test_the_first_token_of_a_machine_without_a_clock_outlives_1970(rig: ApiRig) -> None:
    rig.clock.at -= 1_799_999_000_000
    early = await rig.person("early")
    rig.clock.at += 1_799_999_000_000
    assert await status(rig, early.headers["authorization"]) == 200


@pytest.mark.parametrize(
    "header",
    ["", "OAuth", "OAuth x", 'OAuth oauth_token="a"', "Basic Zm9v", "Digest x", 'OAuth oauth_consumer_key="é"',
     'OAuth oauth_consumer_key="a", oauth_consumer_key="b"', "OAuth " + "x" * 9000, "Bearer", "oauth \x7f"],
)  # fmt: skip
async def test_what_is_no_credential_is_401_with_a_body(rig: ApiRig, header: str) -> None:
    answer = await rig.client.get("/v2/self", headers=[(b"authorization", header.encode("latin-1"))])
    assert answer.status_code == 401 and answer.json()["type"] == "error"


async def test_pages_of_other_origins_may_ask_with_a_signature(rig: ApiRig) -> None:
    asked = {"origin": "https://portal.example.test", "access-control-request-method": "PUT",
             "access-control-request-headers": "authorization,content-type"}  # fmt: skip
    answer = await rig.client.options("/v2/self", headers=asked)
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_path_with_a_doubled_slash_is_the_same_path(rig: ApiRig) -> None:
    assert (await rig.client.get(f"{ORIGIN}//v2//self", headers=rig.operator.headers)).status_code == 200
