"""The console's own addresses, and what the API has for it: told to whom they belong, to nobody else."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from havre.console import words
from havre.console.shell import FOLDER
from havre.governance import Role
from tests.room.api_rig import ApiRig, Page, api_rig, signed_in

pytestmark = pytest.mark.anyio
BUILT = (FOLDER / "index.html").exists()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path) as made:
        yield made


async def test_who_is_not_signed_in_is_asked_to_and_comes_back_to_where_they_were_going(rig: ApiRig) -> None:
    page = Page(rig)
    answer = await page.client.get("/organisations/orga_x/applications/app_y?range=live")
    assert answer.status_code == 303
    await page.open(answer.headers["location"])
    await page.fill(email=rig.operator.credentials.email, password=rig.operator.credentials.password)
    assert str(page.seen.url).endswith("/organisations/orga_x/applications/app_y?range=live")


@pytest.mark.skipif(not BUILT, reason="the console is not built here: make setup builds it")
async def test_the_page_may_load_nothing_from_anywhere_else_and_holds_no_credential(rig: ApiRig) -> None:
    page = await signed_in(rig, rig.operator)
    shown = await page.open("/")
    policy = dict(each.split(" ", 1) for each in shown.headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert policy["frame-ancestors"] == "'none'" and "unsafe-eval" not in str(policy)
    assert rig.operator.credentials.token not in shown.text and "<script>" not in shown.text
    for each in re.findall(r'(?:src|href)="([^"]+)"', shown.text):
        assert each.startswith("/assets/"), each
        assert (await page.client.get(each)).status_code == 200, each


@pytest.mark.skipif(not BUILT, reason="the console is not built here: make setup builds it")
async def test_files_are_kept_for_ever_by_their_hash_and_lead_nowhere_else(rig: ApiRig) -> None:
    shown = await (await signed_in(rig, rig.operator)).open("/")
    script = next(each for each in re.findall(r'src="([^"]+)"', shown.text) if "index-" in each)
    answer = await rig.client.get(script, headers={"accept-encoding": "br, gzip"})
    assert answer.headers["content-encoding"] in ("br", "gzip") and "immutable" in answer.headers["cache-control"]
    assert (await rig.client.get("/assets/theme.js")).headers["cache-control"] == "no-cache"
    for path in ("/assets/../index.html", "/assets/%2e%2e/index.html", "/assets/..%2f..%2fshell.py", "/assets/"):
        assert (await rig.client.get(path)).status_code in (303, 404), path


async def test_an_id_alone_leads_to_its_application_for_who_may_see_it(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    app = await rig.create_app(rig.operator, owner)
    page = await signed_in(rig, rig.operator)
    for path in (f"/goto/{app}", f"/users/me/applications/{app}"):
        answer = await page.client.get(path)
        assert answer.headers["location"] == f"/organisations/{owner}/applications/{app}", path
    stranger = await signed_in(rig, await rig.person("stranger"))
    assert (await stranger.client.get(f"/goto/{app}")).status_code == 404


async def test_an_overview_says_how_each_application_is_and_what_the_caller_may(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    app = await rig.create_app(rig.operator, owner)
    reader = await rig.person("reader")
    await rig.join(rig.operator, owner, reader, Role.ACCOUNTING)
    seen = await rig.operator.get(f"/v2/organisations/{owner}/overview")
    assert [(each["id"], each["condition"], each["instances"]) for each in seen["applications"]] == [
        (app, "never deployed", {})
    ]
    assert {"admin", "write"} <= set(seen["can"])
    assert (await reader.get(f"/v2/organisations/{owner}/overview"))["can"] == ["read"]


async def test_what_changes_is_told_to_whom_it_belongs(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    told: list[dict[str, Any]] = []
    from havre.api import changes
    from havre.api.context import Context

    ctx: Context = rig.app._app.app.state.context
    stranger = await rig.person("stranger")
    for person, count in ((rig.operator, 1), (stranger, 0)):
        audience = changes._Audience(ctx, person.actor)
        await audience.learn()
        async with rig.kernel.bus.subscribe("apps.") as events:
            app = await rig.create_app(rig.operator, owner, name=f"web{count}")
            found = await audience.told(await events.receive())
        told += [found] if found is not None else []
        assert len(told) == 1, person.credentials.name
        assert told[0]["subject"] != app or count == 1
    assert (told[0]["name"], told[0]["ownerId"]) == ("apps.app.created", owner)
    assert "app_name" not in json.dumps(told)


async def test_a_session_is_listed_and_ended_from_another(rig: ApiRig) -> None:
    here, there = await signed_in(rig, rig.operator), await signed_in(rig, rig.operator)
    found = (await here.client.get("/v2/self/sessions")).json()
    assert sorted(each["isCurrent"] for each in found) == [False, True]
    other = next(each["id"] for each in found if not each["isCurrent"])
    headers = {"x-havre-console": "1"}
    assert (await here.client.delete(f"/v2/self/sessions/{other}")).status_code == 401
    assert (await here.client.delete(f"/v2/self/sessions/{other}", headers=headers)).status_code == 204
    assert (await there.client.get("/v2/self")).status_code == 401
    assert (await here.client.delete("/v2/self/sessions/current", headers=headers)).status_code == 204
    assert (await here.client.get("/v2/self")).status_code == 401


async def test_figures_have_every_span_and_say_when_they_are_asked_for_too_much(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    app = await rig.create_app(rig.operator, owner)
    base = f"/v4/stats/organisations/{owner}/resources/{app}"
    found = await rig.operator.get(f"{base}/requests?interval=P1D&span=PT1H")
    assert len(found) == 24 and all(each["count"] == 0 for each in found)
    assert [each["name"] for each in await rig.operator.get(f"{base}/metrics")] == ["cpu", "mem"]
    for query in ("interval=P99D", "span=PT1S&interval=P1D", "interval=x", "span=PT0S"):
        assert (await rig.operator.call("GET", f"{base}/requests?{query}")).status_code == 400, query


@pytest.mark.skipif(not BUILT, reason="the console is not built here: make setup builds it")
def test_nothing_that_is_shown_names_the_makers_service_or_its_hosts() -> None:
    scripts = [each for each in (FOLDER / "assets").iterdir() if each.suffix in (".js", ".css", ".svg")]
    assert len(scripts) > 20
    named = [each.name for each in scripts if re.search(r"Clever Cloud|clever-cloud\.com|cleverapps", each.read_text())]
    assert named == []
    assert "@clevercloud/components 18.1.0 (Apache-2.0)" in (FOLDER / "assets" / "third-party.txt").read_text()


async def test_the_plain_pages_speak_the_language_that_the_browser_asks_for(rig: ApiRig) -> None:
    for asked, word in (("fr-FR,fr;q=0.9,en;q=0.5", "Se connecter"), ("de,en;q=0.9", "Sign in"), ("", "Sign in")):
        shown = (await rig.client.get("/login", headers={"accept-language": asked})).text
        assert f"<h1>{word}</h1>" in shown and f'lang="{"fr" if word != "Sign in" else "en"}"' in shown, asked


def test_every_sentence_of_the_plain_pages_is_there_in_french() -> None:
    templates = (FOLDER.parent / "templates").glob("*.html")
    asked = {each for file in templates for each in re.findall(r'_\("([^"]+)"', file.read_text())}
    assert len(asked) > 20
    assert asked - set(words._FRENCH) == set()
