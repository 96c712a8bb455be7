"""Other official clients than the command line: `@clevercloud/client` 12 from Node, `clevercloud-sdk` from Python."""

from __future__ import annotations

import asyncio
import datetime
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from clever_cloud.auth import ApiTokenCredentials, OAuthCredentials, SignatureMethod
from clever_cloud.client import CleverCloudClient
from clever_cloud.exceptions import NotFoundError
from clever_cloud.oauth_dance import OAuthConsumer, OAuthDance

from havre.client import CONSUMER, Client
from tests.system import browser
from tests.system.rig import Installation

SHARE = Path(sys.prefix) / "share" / "havre"
CALLBACK = "https://portal.example.test/back"


@pytest.fixture(scope="module")
def operator(havre: Installation) -> Client:
    return Client.of_data(havre.data)


@pytest.fixture(scope="module")
def api_token(havre: Installation, operator: Client) -> str:
    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    body = browser.credentials(havre) | {"name": "robot", "expirationDate": expires.isoformat()}
    found: str = operator.call("POST", "/api-tokens", body)["apiToken"]
    return found


@pytest.fixture(scope="module")
def seen(havre: Installation, operator: Client, api_token: str) -> dict[str, Any]:
    """What the JavaScript client saw."""
    node = sorted((SHARE / "toolchains").glob("node-*/bin/node"))[-1]
    env = havre.environment() | {"API_TOKEN": api_token, "CONSUMER": " ".join(CONSUMER)}
    env["ORGA"] = operator.create_organisation("Scripts").id
    script = Path(__file__).parent / "js" / "client12.mjs"
    argv = [str(node), str(script), str(SHARE / "cli" / "node_modules" / "@clevercloud" / "client")]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_javascript_client_understands_every_answer(seen: dict[str, Any]) -> None:
    failed = {name: value for name, value in seen.items() if isinstance(value, dict) and "failed" in value}
    assert failed == {}


def test_the_javascript_client_made_and_read_an_app(seen: dict[str, Any]) -> None:
    assert seen["profile"]["id"] == seen["bearer"]["id"]
    assert seen["created"]["name"] == "from-js" and seen["created"]["id"].startswith("app_")
    assert [each["name"] for each in seen["applications"]] == ["from-js"]
    assert seen["environment"]["environment"] == [{"name": "A", "value": "1"}]
    assert any("js.example.test" in json.dumps(each) for each in seen["domains"])
    assert seen["tagged"] == ["blue"]
    assert len(seen["drains"]) == 1
    assert seen["unknown"] is None


def signed(havre: Installation, method: SignatureMethod) -> OAuthCredentials:
    own = json.loads((havre.data / "credentials.json").read_text())
    pair = {"token": own["token"], "secret": own["secret"]}
    origin = havre.environment()["API_HOST"]
    return OAuthCredentials(
        consumer_key=CONSUMER[0], consumer_secret=CONSUMER[1], **pair, base_url=origin, signature_method=method
    )


@pytest.mark.parametrize("method", list(SignatureMethod))
def test_the_python_sdk_signs_as_it_does(havre: Installation, operator: Client, method: SignatureMethod) -> None:
    owner = operator.create_organisation(f"SDK {method.value}").id

    async def work() -> None:
        auth = signed(havre, method)
        async with CleverCloudClient(auth, ca_bundle=havre.environment()["CURL_CA_BUNDLE"]) as client:
            assert (await client.get_profile()).email == browser.credentials(havre)["email"]
            app = await client.create_application(owner, "from-python", instance_slug="node")
            await client.create_domain(owner, app.id, domain=f"{method.value.lower()}.example.test")
            domains = await client.list_domains(owner, app.id)
            assert any(f"{method.value.lower()}.example.test" in repr(each) for each in domains)
            with pytest.raises(NotFoundError):
                await client.get_primary_domain(owner, app.id)

    asyncio.run(work())


def test_the_python_sdk_uses_an_api_token(havre: Installation, api_token: str) -> None:
    async def work() -> None:
        auth = ApiTokenCredentials(token=api_token, base_url=havre.environment()["API_HOST"])
        async with CleverCloudClient(auth, ca_bundle=havre.environment()["CURL_CA_BUNDLE"]) as client:
            assert (await client.get_profile()).email == browser.credentials(havre)["email"]

    asyncio.run(work())


def test_the_python_sdk_dances(havre: Installation, operator: Client) -> None:
    owner = operator.create_organisation("Portal makers").id
    body = {"name": "Portal", "baseUrl": CALLBACK, "rights": {"access_personal_information": True}}
    made = operator.call("POST", f"/v2/organisations/{owner}/consumers", body)
    secret = operator.call("GET", f"/v2/organisations/{owner}/consumers/{made['key']}/secret")["secret"]
    origin = havre.environment()["API_HOST"]
    transport = httpx.HTTPTransport(verify=havre.tls())
    consumer = OAuthConsumer(key=made["key"], secret=secret)
    with OAuthDance(consumer, callback_url=CALLBACK, api_url=origin, transport=transport) as dance:
        asked = dance.get_request_token()
        with browser.Browser(havre) as person:
            page = person.open(dance.get_authorization_url(asked))
            page = person.fill(page, **browser.credentials(havre))
            assert "Allow Portal?" in page.text
            back = person.leave(page)
        credentials = dance.get_access_token(asked, dance.parse_callback_url(back, asked))
    assert re.fullmatch(r"[A-Za-z0-9]+", credentials.token)

    async def work() -> None:
        ca = havre.environment()["CURL_CA_BUNDLE"]
        async with CleverCloudClient(credentials, base_url=origin, ca_bundle=ca) as client:
            assert (await client.get_profile()).email == browser.credentials(havre)["email"]

    asyncio.run(work())
