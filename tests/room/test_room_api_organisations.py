"""Organisations and their people, consumers and what they were given, quotas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from havre.governance import Grant
from havre.wire import models
from tests.room.api_rig import ORIGIN, ApiRig, Page, Person, api_rig, plaintext, signed, signed_in

pytestmark = pytest.mark.anyio
PORTAL = "https://portal.example.test"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path) as made:
        yield made


async def invitation_of(rig: ApiRig, email: str) -> str:
    letters = await rig.operator.get("/v2/havre/outbox")
    text: str = next(each["text"] for each in letters if each["to"] == email)
    return "/invitation" + text.partition("/invitation")[2].strip()


async def test_somebody_without_an_account_joins_by_the_letter_that_invites_them(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    body = {"email": "new@example.test", "role": "MANAGER", "job": None}
    said = await rig.operator.do("POST", f"/v2/organisations/{owner}/members", body)
    assert "invitation" in said["message"]
    path = await invitation_of(rig, "new@example.test")
    page = Page(rig)
    await page.open(path)
    await page.fill(name="Newcomer", password="a long password")
    assert "Welcome" in page.seen.text
    assert (await page.client.get("/v2/self")).json()["name"] == "Newcomer"
    members = await rig.operator.get(f"/v2/organisations/{owner}/members")
    assert {each["member"]["email"]: each["role"] for each in members}["new@example.test"] == "MANAGER"
    assert (await Page(rig).open(path)).status_code == 404, "an invitation is accepted once"


async def test_an_invitation_is_over_after_a_week(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    await rig.operator.do("POST", f"/v2/organisations/{owner}/members", {"email": "late@example.test", "role": "ADMIN"})
    rig.clock.at += 8 * 86_400_000
    assert (await Page(rig).open(await invitation_of(rig, "late@example.test"))).status_code == 404


async def test_roles_change_people_leave_and_an_administrator_stays(rig: ApiRig) -> None:
    owner, other = await rig.organisation(rig.operator), await rig.person("other")
    await rig.join(rig.operator, owner, other, "DEVELOPER")
    me = f"/v2/organisations/{owner}/members/{rig.operator.id}"
    assert (await rig.operator.call("DELETE", me)).status_code == 409
    assert (await rig.operator.call("PUT", me, {"role": "DEVELOPER"})).status_code == 409
    await rig.operator.do("PUT", f"/v2/organisations/{owner}/members/{other.id}", {"role": "ADMIN"})
    await rig.operator.do("DELETE", f"/v2/organisations/{owner}/members/self")
    assert (await rig.operator.call("GET", f"/v2/organisations/{owner}")).status_code == 404
    assert [each["member"]["id"] for each in await other.get(f"/v2/organisations/{owner}/members")] == [other.id]


async def test_an_organisation_goes_when_it_is_empty(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    app = await rig.create_app(rig.operator, owner)
    path = f"/v2/organisations/{owner}"
    assert (await rig.operator.call("DELETE", path)).status_code == 409
    await rig.operator.do("DELETE", f"{path}/applications/{app}")
    await rig.operator.do("DELETE", path)
    assert (await rig.operator.call("GET", path)).status_code == 404
    assert (await rig.operator.call("DELETE", f"/v2/organisations/{rig.operator.space}")).status_code == 409


async def test_a_personal_space_has_no_guests(rig: ApiRig) -> None:
    body = {"email": "guest@example.test", "role": "ADMIN"}
    assert (await rig.operator.call("POST", f"/v2/organisations/{rig.operator.space}/members", body)).status_code == 409


async def test_the_summary_lists_a_personal_thing_once(rig: ApiRig) -> None:
    app = await rig.create_app(rig.operator, "self", "mine")
    await rig.operator.do("PUT", f"/v2/self/applications/{app}/tags", ["blue", "blue", "big"])
    summary = await rig.operator.get("/v2/summary")
    found = [(owner["id"], each["id"], each["customerTags"])
             for owner in (summary["user"], *summary["organisations"]) for each in owner["applications"]]  # fmt: skip
    assert found == [(rig.operator.space, app, ["big", "blue"])]
    assert summary["user"]["addons"] == summary["user"]["consumers"] == []


async def test_a_quota_is_the_limit_of_an_organisation(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    await rig.operator.do("PUT", f"/v2/havre/quotas/{owner}", {"apps": 1, "instances": 3})
    app = await rig.create_app(rig.operator, owner)
    body = {"name": "second", "instanceType": "node"}
    refused = await rig.operator.call("POST", f"/v2/organisations/{owner}/applications", body)
    assert refused.status_code == 413 and "ask an operator" in refused.json()["message"]
    path = f"/v2/organisations/{owner}/applications/{app}"
    assert (await rig.operator.call("PUT", path, {"maxInstances": 4})).status_code == 413
    await rig.operator.do("PUT", path, {"maxInstances": 3})
    seen = next(each for each in await rig.operator.get("/v2/havre/quotas") if each["id"] == owner)
    assert (seen["apps"], seen["usedApps"]) == (1, 1)


async def test_an_operator_removes_an_account_and_its_name_is_free_again(rig: ApiRig) -> None:
    person = await rig.person("gone")
    app = await rig.create_app(person, "self")
    path = f"/v2/havre/people/{person.id}"
    assert (await rig.operator.call("DELETE", path)).status_code == 409
    await person.do("DELETE", f"/v2/self/applications/{app}")
    await rig.operator.do("DELETE", path)
    assert (await person.call("GET", "/v2/self")).status_code == 401
    await rig.person("gone")
    assert (await rig.operator.call("DELETE", f"/v2/havre/people/{rig.operator.id}")).status_code == 409


# consumers


async def new_consumer(rig: ApiRig, *rights: Grant) -> tuple[str, str]:
    owner = await rig.organisation(rig.operator, "Portal makers")
    body = {
        "name": "Portal",
        "baseUrl": f"{PORTAL}/back",
        "url": PORTAL,
        "rights": {str(each): True for each in rights},
    }
    made = await rig.operator.do("POST", f"/v2/organisations/{owner}/consumers", body)
    secret = (await rig.operator.get(f"/v2/organisations/{owner}/consumers/{made['key']}/secret"))["secret"]
    return made["key"], secret


def pair_of(text: str) -> tuple[str, str]:
    found = {name: values[0] for name, values in parse_qs(text).items()}
    return found["oauth_token"], found["oauth_token_secret"]


async def request_token(rig: ApiRig, consumer: tuple[str, str], callback: str, nonce: str = "r") -> httpx.Response:
    url = f"{ORIGIN}/v2/oauth/request_token"
    header = signed("POST", url, at=rig.clock.at, consumer=consumer, nonce=nonce, more={"oauth_callback": callback})
    return await rig.client.post(url, headers={"authorization": header})


async def dance(rig: ApiRig, consumer: tuple[str, str], person: Person) -> tuple[str, str]:
    """The token that `person` gives to `consumer`, and its secret."""
    token, secret = pair_of((await request_token(rig, consumer, f"{PORTAL}/back/here?x=1")).text)
    page = Page(rig)
    await page.open(f"/v2/oauth/authorize?oauth_token={token}")
    await page.fill(email=person.credentials.email, password=person.credentials.password)
    assert "Allow Portal?" in page.seen.text and PORTAL in page.seen.headers["content-security-policy"]
    back = urlsplit((await page.fill()).headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == f"{PORTAL}/back/here"
    query = parse_qs(back.query)
    assert query["x"] == ["1"] and query["oauth_token"] == [token]
    url = f"{ORIGIN}/v2/oauth/access_token"
    fields = {"oauth_verifier": query["oauth_verifier"][0]}
    pair = {"token": token, "secret": secret, "consumer": consumer, "at": rig.clock.at}
    header = signed("POST", url, nonce="a", more=fields, **pair)
    answer = await rig.client.post(url, headers={"authorization": header})
    assert answer.status_code == 200 and "expiration_date" in answer.text
    again = signed("POST", url, nonce="b", more=fields, **pair)
    assert (await rig.client.post(url, headers={"authorization": again})).status_code == 401, "twice"
    return pair_of(answer.text)


async def test_a_consumer_gets_what_the_person_allowed_and_no_more(rig: ApiRig) -> None:
    consumer, person = await new_consumer(rig, Grant.ACCESS_PERSON), await rig.person("person")
    header = {"authorization": plaintext(*await dance(rig, consumer, person), consumer)}
    assert (await rig.client.get("/v2/self", headers=header)).json()["id"] == person.id
    rights = (await rig.client.get("/v2/oauth/rights", headers=header)).json()
    assert [name for name, is_on in rights.items() if is_on] == [Grant.ACCESS_PERSON]
    for method, path in (("GET", "/v2/organisations"), ("GET", "/v2/summary"), ("GET", "/api-tokens"),
                         ("GET", "/v2/self/applications"), ("PUT", "/v2/self/keys/x"), ("POST", "/v2/organisations"),
                         ("PUT", "/v2/self/change_password"), ("POST", "/v2/self/mfa/TOTP")):  # fmt: skip
        bodies = {"/v2/self/keys/x": "x", "/v2/organisations": {"name": "x"},
                  "/v2/self/change_password": {"oldPassword": "x", "newPassword": "y"}}  # fmt: skip
        answer = await rig.client.request(method, path, headers=header, json=bodies.get(path))
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"


async def test_an_operators_rights_are_not_given_to_a_consumer(rig: ApiRig) -> None:
    consumer = await new_consumer(rig, *Grant)
    header = {"authorization": plaintext(*await dance(rig, consumer, rig.operator), consumer)}
    assert (await rig.client.get("/v2/summary", headers=header)).status_code == 200
    assert (await rig.client.get("/v2/havre/people", headers=header)).status_code == 403


async def test_a_token_goes_with_its_consumer(rig: ApiRig) -> None:
    consumer = await new_consumer(rig, Grant.ACCESS_PERSON)
    pair = await dance(rig, consumer, rig.operator)
    owner = next(each for each in (await rig.operator.get("/v2/summary"))["organisations"] if each["consumers"])
    await rig.operator.do("DELETE", f"/v2/organisations/{owner['id']}/consumers/{consumer[0]}")
    assert (await rig.client.get("/v2/self", headers={"authorization": plaintext(*pair, consumer)})).status_code == 401


async def test_a_token_of_one_consumer_is_not_anothers(rig: ApiRig) -> None:
    consumer = await new_consumer(rig, Grant.ACCESS_PERSON)
    pair = await dance(rig, consumer, rig.operator)
    assert (await rig.client.get("/v2/self", headers={"authorization": plaintext(*pair)})).status_code == 401


@pytest.mark.parametrize(
    "callback",
    ["https://evil.example.test/back", f"{PORTAL}/backwards", f"{PORTAL}/other", "javascript:alert(1)",
     f"{PORTAL}.evil.example.test/back", "http://portal.example.test/back", f"{PORTAL}/back\\x"],
)  # fmt: skip
async def test_people_are_sent_only_to_where_the_consumer_said(rig: ApiRig, callback: str) -> None:
    consumer = await new_consumer(rig, Grant.ACCESS_PERSON)
    assert (await request_token(rig, consumer, callback)).status_code == 401


async def test_temporary_credentials_may_be_asked_for_with_a_form(rig: ApiRig) -> None:
    key, secret = await new_consumer(rig, Grant.ACCESS_PERSON)
    form = {"oauth_consumer_key": key, "oauth_signature": f"{secret}&", "oauth_callback": "oob",
            "oauth_signature_method": "PLAINTEXT"}  # fmt: skip
    answer = await rig.client.post("/v2/oauth/request_token", data=form)
    token, _ = pair_of(answer.text)
    page = await signed_in(rig, rig.operator)
    await page.open(f"/v2/oauth/authorize?oauth_token={token}")
    await page.fill()
    assert "Give this to the program" in page.seen.text
    wrong = await rig.client.post("/v2/oauth/request_token_query", params=form | {"oauth_signature": "x&"})
    assert wrong.status_code == 401


async def test_the_summary_is_of_the_contracts_form(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    await rig.create_app(rig.operator, owner)
    await rig.operator.do("POST", f"/v2/organisations/{owner}/consumers", {"name": "portal"})
    said = await rig.operator.get("/v2/summary")
    assert models.Summary.model_validate(said).model_dump() == said


async def test_a_revoked_token_ends_with_the_answer_that_says_so(rig: ApiRig) -> None:
    person = await rig.person("leaving")
    for _ in range(3):
        assert (await person.call("GET", "/v2/self")).status_code == 200
    await person.do("DELETE", "/v2/self/tokens/current")
    assert (await person.call("GET", "/v2/self")).status_code == 401
