"""Signing in at a browser, sessions, the second factor, addresses, keys, API tokens."""

from __future__ import annotations

import base64
import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from havre.governance import totp
from tests.room.api_rig import ApiRig, Page, Person, api_rig

pytestmark = pytest.mark.anyio
KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32).decode() + " laptop"
CLI_TOKEN = "c" * 27


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path) as made:
        yield made


async def signed_in(rig: ApiRig, person: Person) -> Page:
    page = Page(rig)
    await page.open("/login")
    await page.fill(email=person.credentials.email, password=person.credentials.password)
    await page.open("/users/me/security")
    assert person.credentials.email in page.seen.text, page.seen.text
    return page


async def letters(rig: ApiRig) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await rig.operator.get("/v2/havre/outbox")
    return found


async def test_the_command_line_is_given_its_token_once(rig: ApiRig) -> None:
    assert (await rig.client.get(f"/v2/self/cli_tokens?cli_token={CLI_TOKEN}")).status_code == 404
    page = Page(rig)
    await page.open(f"/cli-oauth?cli_version=4.11.0&cli_token={CLI_TOKEN}")
    await page.fill(email=rig.operator.credentials.email, password=rig.operator.credentials.password)
    assert "You are signed in" in page.seen.text
    given = (await rig.client.get(f"/v2/self/cli_tokens?cli_token={CLI_TOKEN}")).json()
    assert given["expirationDate"].endswith("Z") and given["token"].isalnum()
    assert (await rig.client.get(f"/v2/self/cli_tokens?cli_token={CLI_TOKEN}")).status_code == 404
    await page.open(f"/cli-oauth?cli_token={'d' * 27}")
    assert "Allow the command line?" in page.seen.text
    await page.fill()
    assert (await rig.client.get(f"/v2/self/cli_tokens?cli_token={'d' * 27}")).status_code == 200


async def test_a_wrong_password_says_the_same_as_an_unknown_address(rig: ApiRig) -> None:
    said = set()
    for email in (rig.operator.credentials.email, "nobody@example.test"):
        page = Page(rig)
        await page.open("/login")
        await page.fill(email=email, password="wrong")
        assert page.seen.status_code == 401
        said.add(page.seen.text.partition('role="alert">')[2].partition("<")[0])
    assert len(said) == 1


async def test_sign_ins_are_limited_for_an_address(rig: ApiRig) -> None:
    page = Page(rig)
    await page.open("/login")
    for _ in range(10):
        await page.fill(email="somebody@example.test", password="wrong")
    await page.fill(email="somebody@example.test", password="wrong")
    assert "Too many attempts" in page.seen.text
    rig.clock.at += 61_000
    await page.fill(email="somebody@example.test", password="wrong")
    assert "Too many attempts" not in page.seen.text


async def test_a_form_of_another_site_is_refused(rig: ApiRig) -> None:
    page = await signed_in(rig, rig.operator)
    answer = await page.client.post("/users/me/password", data={"proof": "x", "old": "a", "new": "b" * 12})
    assert answer.status_code == 401 and "expired" in answer.text
    answer = await page.client.post("/cli-oauth", data={"proof": "x", "cli_token": CLI_TOKEN})
    assert answer.status_code == 401


async def test_the_pages_send_nobody_to_another_site(rig: ApiRig) -> None:
    for next in ("https://evil.example.test", "//evil.example.test", "/\\evil.example.test", "javascript:alert(1)"):
        page = Page(rig)
        await page.open(f"/login?next={next}")
        assert "evil" not in page.seen.text and "javascript" not in page.seen.text


async def test_the_cookie_is_kept_from_scripts_and_other_sites(rig: ApiRig) -> None:
    page = Page(rig)
    await page.open("/login")
    content = {"email": rig.operator.credentials.email, "password": rig.operator.credentials.password}
    proof = page.seen.text.partition('name="proof" value="')[2].partition('"')[0]
    answer = await page.client.post("/login", data=content | {"proof": proof})
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("__Host-havre="))
    assert all(each in cookie.lower() for each in ("httponly", "secure", "samesite=lax", "path=/"))
    assert "script" not in page.seen.text and "default-src 'none'" in page.seen.headers["content-security-policy"]


async def test_a_session_reads_the_api_and_writes_only_with_the_consoles_header(rig: ApiRig) -> None:
    page = await signed_in(rig, rig.operator)
    assert (await page.client.get("/v2/self")).json()["email"] == rig.operator.credentials.email
    body = {"name": "Made by a browser"}
    assert (await page.client.post("/v2/organisations", json=body)).status_code == 401
    headers = {"x-havre-console": "1"}
    assert (await page.client.post("/v2/organisations", json=body, headers=headers)).status_code == 201


async def test_a_session_ends_by_sign_out_by_disuse_and_by_a_new_password(rig: ApiRig) -> None:
    page = await signed_in(rig, rig.operator)
    await page.open("/users/me/security")
    await page.fill("logout")
    assert (await page.client.get("/v2/self")).status_code == 401
    idle = await signed_in(rig, rig.operator)
    rig.clock.at += 25 * 3_600_000
    assert (await idle.client.get("/v2/self")).status_code == 401
    first, second = await signed_in(rig, rig.operator), await signed_in(rig, rig.operator)
    await first.open("/users/me/security")
    await first.fill("password", old=rig.operator.credentials.password, new="a new long password")
    assert "is changed" in first.seen.text
    assert (await first.client.get("/v2/self")).status_code == 200
    assert (await second.client.get("/v2/self")).status_code == 401


async def test_two_step_sign_in_asks_for_a_code_that_works_once(rig: ApiRig) -> None:
    person = await rig.person("careful")
    page = await signed_in(rig, person)
    await page.fill("second-factor")
    secret = page.seen.text.partition("<code>")[2].partition("<")[0]
    await page.fill("confirmation", code="000000")
    assert "code is wrong" in page.seen.text
    await page.open("/users/me/security")
    await page.fill("second-factor")
    secret = page.seen.text.partition("<code>")[2].partition("<")[0]
    await page.fill("confirmation", code=totp.code_at(secret, now=rig.clock.at))
    spare = page.seen.text.partition("<li><code>")[2].partition("<")[0]
    assert (await person.get("/v2/self"))["preferredMFA"] == "TOTP"
    rig.clock.at += 90_000
    code = totp.code_at(secret, now=rig.clock.at)
    for given, works in (("123456", False), (code, True), (code, False), (spare, True), (spare, False)):
        other = Page(rig)
        await other.open("/login")
        await other.fill(email=person.credentials.email, password=person.credentials.password)
        assert "Your code" in other.seen.text
        await other.fill(code=given)
        await other.open("/users/me/security")
        assert (person.credentials.email in other.seen.text) == works, given


async def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238 appendix B, the last six of eight digits."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert totp.code_at(secret, now=seconds * 1000) == code


async def test_an_address_counts_once_its_link_was_followed(rig: ApiRig) -> None:
    await rig.operator.do("PUT", "/v2/self/emails/other%40example.test")
    assert await rig.operator.get("/v2/self/emails") == []
    letter = (await letters(rig))[0]
    assert letter["to"] == "other@example.test"
    path = "/confirm-email" + letter["text"].partition("/confirm-email")[2].strip()
    assert "is yours" in (await Page(rig).open(path)).text
    assert (await Page(rig).open(path)).status_code == 404
    assert await rig.operator.get("/v2/self/emails") == ["other@example.test"]
    again = await rig.operator.call("PUT", "/v2/self/emails/other%40example.test")
    assert (again.status_code, again.json()["id"]) == (409, 101)
    stranger = await rig.person("stranger")
    assert (await stranger.call("PUT", "/v2/self/emails/other%40example.test")).json()["id"] == 1004
    assert (await stranger.call("PUT", "/v2/self/emails/nothing")).json()["id"] == 550
    await rig.operator.do("PUT", "/v2/self/emails/other%40example.test", {"make_primary": True})
    assert (await rig.operator.get("/v2/self"))["email"] == "other@example.test"
    assert await rig.operator.get("/v2/self/emails") == ["operator@example.test"]
    await rig.operator.do("DELETE", "/v2/self/emails/operator%40example.test")


@pytest.mark.parametrize(
    "key", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa " + KEY.split()[1], "x" * 20000, KEY + "\nx"]
)
async def test_what_is_no_public_key_is_refused_with_the_number_that_the_client_knows(rig: ApiRig, key: str) -> None:
    answer = await rig.operator.call("PUT", "/v2/self/keys/laptop", key)
    assert (answer.status_code, answer.json()["id"]) == (400, 505)


async def test_a_key_is_one_persons(rig: ApiRig) -> None:
    await rig.operator.do("PUT", "/v2/self/keys/my%20key", KEY)
    await rig.operator.do("PUT", "/v2/self/keys/my%20key", KEY)
    (seen,) = await rig.operator.get("/v2/self/keys")
    assert seen["name"] == "my key" and seen["fingerprint"].startswith("SHA256:")
    assert (await (await rig.person("other")).call("PUT", "/v2/self/keys/x", KEY)).status_code == 409
    await rig.operator.do("DELETE", "/v2/self/keys/my%20key")
    assert await rig.operator.get("/v2/self/keys") == []


def token_request(person: Person, rig: ApiRig, **changes: Any) -> dict[str, Any]:
    expires = datetime.datetime.fromtimestamp(rig.clock.at / 1000, datetime.UTC) + datetime.timedelta(days=30)
    found = {"email": person.credentials.email, "password": person.credentials.password, "name": "robot"}
    return found | {"expirationDate": expires.isoformat()} | changes


async def test_an_api_token_acts_for_its_person_until_it_is_revoked_or_expires(rig: ApiRig) -> None:
    made = await rig.operator.do("POST", "/api-tokens", token_request(rig.operator, rig))
    bearer = {"authorization": f"Bearer {made['apiToken']}"}
    assert (await rig.client.get("/v2/self", headers=bearer)).json()["id"] == rig.operator.id
    (listed,) = await rig.operator.get("/api-tokens")
    assert listed["state"] == "ACTIVE" and listed["ip"] == "192.0.2.7" and "apiToken" not in listed
    await rig.operator.do("DELETE", f"/api-tokens/{made['apiTokenId']}")
    assert (await rig.client.get("/v2/self", headers=bearer)).status_code == 401
    made = await rig.operator.do("POST", "/api-tokens", token_request(rig.operator, rig))
    rig.clock.at += 31 * 86_400_000
    bearer = {"authorization": f"Bearer {made['apiToken']}"}
    assert (await rig.client.get("/v2/self", headers=bearer)).status_code == 401
    assert (await rig.operator.get("/api-tokens"))[0]["state"] == "EXPIRED"


async def test_an_api_token_is_made_only_with_the_persons_own_password(rig: ApiRig) -> None:
    other = await rig.person("other")
    for changes in ({"password": "wrong"}, {"email": "x"}, token_request(other, rig)):
        answer = await rig.operator.call("POST", "/api-tokens", token_request(rig.operator, rig) | changes)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid-credential")
    for expires in ("2001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "soon"):
        body = token_request(rig.operator, rig, expirationDate=expires)
        assert (await rig.operator.call("POST", "/api-tokens", body)).status_code == 400


async def test_a_signed_in_command_line_can_be_revoked(rig: ApiRig) -> None:
    person = await rig.person("leaving")
    (own,) = await person.get("/v2/self/tokens")
    await rig.operator.do("DELETE", f"/v2/havre/people/{person.id}/tokens")
    assert (await person.call("GET", "/v2/self")).status_code == 401
    again = await rig.operator.do("POST", f"/v2/havre/people/{person.id}/password")
    assert again["password"] != person.credentials.password and own["consumer"]["name"] == "clever"
