"""An application at a real browser: made, pushed, watched, changed; what is seen when the platform is away."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.driver.dns_rig import NameServer, name_server
from tests.system.console_rig import Desk, Tab, app_in
from tests.system.rig import Installation, installation, until

pytestmark = pytest.mark.timeout(600)
WRITTEN = "asked to log"


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    with name_server() as made:
        yield made


@pytest.fixture(scope="module")
def havre(names: NameServer) -> Iterator[Installation]:
    with installation(edge={"resolver": names.address}) as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def shop(before: Desk) -> str:
    """The address of an application that was made and pushed as a person does it, watched on its way."""
    tab = before.operator()
    page = tab.page
    page.get_by_text("New organisation").click()
    page.get_by_label("Name").fill("Acme")
    tab.press(page.get_by_role("button", name="Create"), then=page.get_by_text("No application yet"))
    page.get_by_role("link", name="New application").first.click()
    tab.settle()
    page.locator("label", has_text="Node.js").click()
    page.locator("label", has_text="XS").click()
    page.get_by_label("Name").fill("shop")
    tab.shot("new-application")
    tab.press(page.get_by_role("button", name="Create the application"), then=page.get_by_text("Push your code"))
    command = page.locator("code", has_text="clever link").inner_text()
    app_id = command.split()[-1]
    page.get_by_role("link", name="Go to the application").click()
    tab.go("Activity")
    expect(page.get_by_text("Nothing was deployed yet")).to_be_visible()
    page.evaluate("window.__here = true")

    repository = before.havre.new_repository("shop")
    before.havre.clever("link", app_id, cwd=repository)
    pushed = threading.Thread(target=before.havre.clever, args=("deploy",), kwargs={"cwd": repository})
    pushed.start()
    try:
        expect(page.locator(".steps li.busy, .steps li.good").first).to_be_visible()
        tab.shot("deploying")
        expect(page.locator(".steps li.good")).to_have_count(8, timeout=120_000)
        expect(page.locator("h2 .badge.good")).to_have_text("Done")
        expect(page.locator(".side .badge")).to_have_text("Running")
        expect(page.get_by_text("Successfully deployed in").first).to_be_visible()
    finally:
        pushed.join(timeout=120)
    assert page.evaluate("window.__here"), "the page was loaded again"
    tab.shot("activity")
    assert tab.violations() == tab.outside == tab.broken == []
    return re.sub(r"/activity$", "", page.url.removeprefix(tab.origin))


def test_an_application_is_made_pushed_and_watched_until_it_answers(havre: Installation, shop: str) -> None:
    status, _, body = havre.get("shop.havre.localhost")
    assert (status, json.loads(body)["app"]) == (200, app_in(shop))


def test_what_an_application_says_is_read_as_it_says_it(before: Desk, shop: str) -> None:
    tab = before.operator()
    tab.open(shop + "/logs")
    expect(tab.page.get_by_text("listening soon").first).to_be_visible()
    assert tab.page.get_by_text(WRITTEN).count() == 0
    before.havre.get("shop.havre.localhost", "/log")
    expect(tab.page.get_by_text(WRITTEN).first).to_be_visible()
    tab.page.get_by_placeholder("Filter the lines").fill("no line has this")
    expect(tab.page.get_by_text(WRITTEN)).to_have_count(0)
    tab.go("Access logs")
    expect(tab.page.get_by_text("/log").first).to_be_visible()
    assert tab.violations() == tab.outside == tab.broken == []


def test_a_variable_is_changed_and_used_after_a_restart(before: Desk, shop: str) -> None:
    tab = before.operator()
    tab.open(shop + "/environment-variables")
    form = tab.page.locator("cc-env-var-form[context='env-var']")
    form.get_by_label("Variable name").fill("GREETING")
    form.get_by_label("Variable value").first.fill("ahoy")
    form.get_by_role("button", name="Add").click()
    tab.press(form.get_by_role("button", name="Update changes"), then=tab.page.get_by_text("until a restart"))
    begun = tab.page.get_by_text("A deployment has begun")
    tab.press(form.get_by_role("button", name="Restart the app"), then=begun)
    greeting = "the app greets with its new variable"
    until(lambda: b"ahoy" in before.havre.get("shop.havre.localhost")[2], what=greeting, limit_s=120)
    assert tab.violations() == tab.outside == tab.broken == []


def test_a_domain_is_added_opened_and_taken_away(before: Desk, shop: str) -> None:
    tab = before.operator()
    tab.open(shop + "/domain-names")
    name = "boutique.havre.localhost"
    tab.page.get_by_label("Domain, with a path").fill(name)
    tab.page.get_by_role("button", name="Add").click()
    row = tab.page.locator("li", has_text=name)
    expect(row.first).to_be_visible()
    assert before.havre.get(name)[0] == 200
    row.get_by_role("button", name="Remove").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    assert before.havre.get(name)[0] == 404


@pytest.fixture(scope="module")
def taken(before: Desk, shop: str, names: NameServer) -> Tab:
    """The page of a domain that was somebody else's, taken over by a record; its own record leads here from now on."""
    name, rival = "www.taken.example", before.havre.new_repository("rival")
    before.havre.clever("create", "-t", "node", "rival", cwd=rival)
    before.havre.clever("domain", "add", name, cwd=rival)
    names.lost.add(name)
    tab = before.operator()
    page = tab.page
    tab.open(shop + "/domain-names")
    page.get_by_label("Domain, with a path").fill(name)
    page.get_by_role("button", name="Add").click()
    record = page.locator(".notice .record code")
    expect(record).to_have_count(2)
    assert tab.axe() == []
    names.texts[record.first.inner_text()] = [record.last.inner_text()]
    page.get_by_role("button", name="The record is there").click()
    row = page.locator(".domains > li", has_text=name)
    expect(row.locator(".badge.bad")).to_have_text("leads nowhere")
    names.lost.clear()
    return tab


def test_a_domain_of_somebody_else_is_taken_over_by_proof(taken: Tab) -> None:
    row = taken.page.locator(".domains > li", has_text="www.taken.example")
    expect(row.get_by_text("by this installation")).to_be_visible()
    assert taken.violations() == taken.outside == taken.broken == []


def test_an_application_is_scaled_and_its_instances_are_seen(before: Desk, shop: str) -> None:
    tab = before.operator()
    tab.open(shop + "/scalability")
    tab.page.get_by_label("At least").fill("2")
    tab.page.get_by_label("At most").fill("2")
    begun = tab.page.get_by_text("A deployment has begun")
    tab.press(tab.page.get_by_role("button", name="Save and restart"), then=begun)
    tab.go("Overview")
    expect(tab.page.locator(".instance .badge.good")).to_have_count(2, timeout=120_000)
    expect(tab.page.locator(".side .badge")).to_have_text("Running", timeout=120_000)
    expect(tab.page.locator("meter")).to_have_count(2)


def test_requests_are_counted_on_the_page_as_they_are_answered(before: Desk, shop: str) -> None:
    tab = before.operator()
    tab.open(shop)
    count = tab.page.locator(".figure", has_text="in the last 24 hours")
    expect(count).to_be_visible()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    seen = int(re.sub(r"\D.*", "", count.inner_text().replace(",", "")))
    for _ in range(3):
        assert before.havre.get("shop.havre.localhost", "/counted")[0] == 200
    expect(count).to_contain_text(f"{seen + 3:,} ")
    assert [each for each in asked if each.endswith("span=PT30M")] == [], "it was told, it did not ask"
    assert tab.violations() == tab.outside == tab.broken == []


def test_the_platform_is_killed_and_the_page_says_so_and_comes_back_by_itself(before: Desk, shop: str) -> None:
    tab = before.operator()
    tab.open(shop)
    tab.page.evaluate("window.__here = true")
    before.havre.kill_control_plane()
    away = tab.page.get_by_text("this page comes back by itself")
    expect(away.first).to_be_visible()
    expect(tab.page.locator(".instance .badge.good").first).to_be_visible()
    assert before.havre.get("shop.havre.localhost")[0] == 200
    before.havre.havre("up", "--detach")
    expect(away).to_have_count(0)
    assert tab.page.evaluate("window.__here"), "the page was loaded again"
    tab.go("Activity")
    before.havre.kill_control_plane()
    tab.page.get_by_role("navigation", name="Sections").get_by_role("link", name="Domains").click()
    before.havre.havre("up", "--detach")
    expect(tab.page.get_by_role("heading", name="Domains", level=1)).to_be_visible()
    expect(tab.page.locator("li", has_text="shop.havre.localhost")).to_be_visible()
    assert tab.broken == []


def test_lines_of_any_range_are_chosen_with_the_keyboard_and_the_choice_is_kept(before: Desk, shop: str) -> None:
    tab = before.operator()
    page = tab.page
    before.havre.get("shop.havre.localhost", "/log")
    for section, text in (("Logs", WRITTEN), ("Access logs", "GET shop.havre.localhost")):
        tab.open(shop)
        tab.go(section)
        page.get_by_role("button", name="From… until…").press("Enter")
        form = page.get_by_role("form", name="From… until…")
        _between(tab, "2020-01-01T10:00:00", "2020-01-01T09:00:00")
        assert form.evaluate("form => form.checkValidity()") is False, "an end before the beginning"
        _between(tab, "2020-01-01T10:00:00", "2020-01-01T11:00:00")
        expect(page.get_by_text("in this range")).to_be_visible()
        _between(tab, "2020-01-01T10:00:00", "2999-01-01T11:00:00")
        expect(page.get_by_text(text).first).to_be_visible()
        page.reload()
        expect(form.get_by_label("From")).to_have_value("2020-01-01T10:00")
        expect(page.get_by_text(text).first).to_be_visible()
        page.get_by_role("button", name="Live").press("Enter")
        expect(form).to_have_count(0)
        assert tab.axe() == []
    assert tab.violations() == tab.outside == tab.broken == []


def _between(tab: Tab, first: str, last: str) -> None:
    tab.page.get_by_label("From", exact=True).fill(first)
    tab.page.get_by_label("Until", exact=True).fill(last)
    tab.page.get_by_label("Until", exact=True).press("Enter")


def test_the_range_of_processor_and_memory_is_kept(before: Desk, shop: str) -> None:
    tab = before.operator()
    tab.open(shop)
    week = tab.page.get_by_role("group", name="Range of processor and memory").get_by_role("button", name="7 days")
    expect(week).to_have_attribute("aria-pressed", "false")
    with tab.page.expect_request(re.compile(r"/metrics\?interval=P7D&span=PT30M")):
        week.press("Enter")
    expect(week).to_have_attribute("aria-pressed", "true")
    with tab.page.expect_request(re.compile(r"/metrics\?interval=P7D&span=PT30M")):
        tab.page.reload()
    expect(week).to_have_attribute("aria-pressed", "true")


def test_the_dns_of_a_domain_is_watched(taken: Tab) -> None:
    row = taken.page.locator(".domains > li", has_text="www.taken.example")
    expect(row.locator(".badge.good")).to_have_text("leads here")  # the page looks again by itself every now and then
    assert taken.violations() == taken.outside == taken.broken == []
