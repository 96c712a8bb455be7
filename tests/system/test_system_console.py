"""The console at a real browser: what a person does there, what they may not, what they see when the platform is away."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.driver.dns_rig import NameServer, name_server
from tests.system.browser import credentials
from tests.system.console_rig import Desk, Tab, app_in, desk, owner_of
from tests.system.rig import Installation, installation, until

pytestmark = pytest.mark.timeout(600)
WRITTEN = "asked to log"
STEPS_SEEN = """
new MutationObserver(() => {
  if (document.querySelector('.operations .steps .busy')) document.body.dataset.saw = 'a step on its way';
}).observe(document.querySelector('main'), {childList: true, subtree: true, attributes: true});
"""
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ6t0Uzv8pX5mVtdTQv0m2nJkq7xE4c1y3wS9bA5dFgh"


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
def before(havre: Installation) -> Iterator[Desk]:
    with desk(havre) as made:
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


def test_a_domain_of_somebody_else_is_taken_over_by_proof_and_its_dns_is_watched(
    before: Desk, shop: str, names: NameServer
) -> None:
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
    expect(row.get_by_text("by this installation")).to_be_visible()
    names.lost.clear()
    expect(row.locator(".badge.good")).to_have_text("leads here")
    assert tab.violations() == tab.outside == tab.broken == []


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


def test_what_the_other_pages_make_is_there_and_goes_away_again(before: Desk, shop: str) -> None:
    tab, own = before.operator(), owner_of(shop)
    page = tab.page

    tab.open("/users/me/ssh-keys")
    page.get_by_label("Name").fill("laptop")
    page.get_by_label("Public key").fill(f"ssh-ed25519 {KEY} laptop")
    page.get_by_role("button", name="Add").click()
    _drop(tab, "laptop", "Remove")

    tab.open("/users/me/api-tokens")
    page.get_by_label("Name").fill("script")
    page.get_by_label("Your password").fill(credentials(before.havre)["password"])
    page.get_by_role("button", name="Create").click()
    token = page.locator(".notice code").inner_text()
    asked = {"authorization": f"Bearer {token}"}
    status, _, body = before.havre.get("localhost", f"/v2{own}/overview", **asked)
    assert status == 200 and [each["name"] for each in json.loads(body)["applications"]] == ["shop"]
    _drop(tab, "script", "Revoke")
    assert before.havre.get("localhost", f"/v2{own}/overview", **asked)[0] == 401

    tab.open(own + "/notifications")
    page.get_by_label("URL").fill("https://hooks.example.test/x")
    page.get_by_role("button", name="Add").first.click()
    _drop(tab, "hooks.example.test", "Remove")

    tab.open(shop + "/log-drains")
    page.get_by_label("Address").fill("https://logs.example.test/in")
    page.get_by_role("button", name="Add").click()
    _drop(tab, "logs.example.test", "Remove")

    tab.open(shop + "/tcp-redirections")
    page.get_by_role("button", name="Open a port").click()
    _drop(tab, "4040", "Remove")

    tab.open(own + "/oauth-consumers")
    page.get_by_label("Name").fill("portal")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".facts code")).to_have_count(2)
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No program may ask yet")).to_be_visible()
    assert tab.violations() == tab.outside == tab.broken == []


def _drop(tab: Tab, text: str, button: str) -> None:
    row = tab.page.locator(".rows li", has_text=text)
    expect(row).to_be_visible()
    row.get_by_role("button", name=button).click()
    tab.page.get_by_role("dialog").get_by_role("button", name=button).click()
    expect(row).to_have_count(0)


def test_a_member_of_a_lesser_role_sees_what_they_may(before: Desk, shop: str) -> None:
    tab = before.operator()
    tab.open("/installation/people")
    tab.page.get_by_label("E-mail address").fill("ann@example.test")
    tab.page.get_by_label("Name").fill("Ann")
    shown = tab.page.locator(".notice code")
    tab.press(tab.page.get_by_role("button", name="Add"), then=shown)
    password = shown.inner_text()
    tab.open(owner_of(shop) + "/members")
    tab.page.get_by_label("Email address").first.fill("ann@example.test")
    tab.page.locator("cc-orga-member-list").get_by_label("Role required").select_option("ACCOUNTING")
    row = tab.page.locator("cc-orga-member-card", has_text="ann@example.test")
    tab.press(tab.page.get_by_role("button", name="Invite"), then=row)
    expect(row).to_contain_text("Accountant")
    assert tab.axe() == [] and tab.axe("color-contrast") == []
    ann = before.tab()
    ann.sign_in(email="ann@example.test", password=password, at=shop)
    expect(ann.page.get_by_role("heading", name="shop", level=1)).to_be_visible()
    sections = ann.page.get_by_role("navigation", name="Sections")
    expect(sections.get_by_role("link", name="Activity")).to_be_visible()
    for hidden in ("Environment", "Logs", "Access logs", "Log drains"):
        expect(sections.get_by_role("link", name=hidden, exact=True)).to_have_count(0)
    for button in ("Restart", "Stop"):
        expect(ann.page.get_by_role("button", name=button)).to_have_count(0)
    ann.open(shop + "/environment-variables")
    expect(ann.page.get_by_role("alert").get_by_text("Your role does not allow this")).to_be_visible()
    ann.open(shop + "/settings")
    expect(ann.page.get_by_label("Name")).to_be_disabled()
    assert ann.violations() == ann.outside == ann.broken == []


def test_an_operator_sees_the_machine_and_what_is_under_way_step_by_step(before: Desk, shop: str) -> None:
    tab = before.operator()
    page = tab.page
    tab.open("/installation")
    printed = json.loads(
        before.havre.havre("doctor", "--json", "--config", str(before.havre.config), check=False).stdout
    )
    expect(page.locator(".findings li")).to_have_count(len(printed))
    for each in printed:
        said = re.sub(r"\d+ MiB", "MiB", each["follows"] or each["seen"])  # how much is free changes
        expect(page.locator(".findings li", has_text=said.removeprefix("MiB ")).first).to_be_visible()
    row = page.locator("tr", has_text="Releases")
    expect(row).to_contain_text("for each release")
    expect(row.locator("td").nth(1)).to_have_text(re.compile(r"\d"))
    if page.locator(".stacks summary").count():
        page.locator(".stacks summary").first.click()
        expect(page.locator(".stacks td", has_text="libc6").first).to_be_visible()
    expect(page.get_by_text("Nothing is under way")).to_be_visible()
    page.evaluate(STEPS_SEEN)
    other = before.operator()
    other.open(shop + "/activity")
    other.page.get_by_text("Deploy a commit").click()
    other.press(
        other.page.locator(".commits button", has_text="first"), then=other.page.get_by_text("A deployment has begun")
    )
    expect(page.locator("body[data-saw]")).to_have_count(1)
    expect(page.get_by_text("Nothing is under way")).to_be_visible()
    assert tab.violations() == tab.outside == tab.broken == []


def test_a_session_elsewhere_is_ended_at_once(before: Desk, shop: str) -> None:
    elsewhere, here = before.operator(again=True), before.operator()
    expect(elsewhere.page.locator("main h1")).to_have_text("Organisations")
    here.open("/users/me/sessions")
    buttons = here.page.get_by_role("button", name="Sign out there")
    while buttons.count():
        left = buttons.count()
        buttons.first.click()
        expect(buttons).to_have_count(left - 1)
    elsewhere.page.goto(elsewhere.origin + shop)
    expect(elsewhere.page).to_have_url(re.compile("/login"))
    here.open("/")
    expect(here.page.locator("main h1")).to_have_text("Organisations")


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


PAGES = """/ /organisations/{o} /organisations/{o}/applications/new /organisations/{o}/members /organisations/{o}/audit
/organisations/{o}/notifications /organisations/{o}/oauth-consumers /organisations/{o}/settings {a} {a}/activity {a}/logs
{a}/access-logs {a}/environment-variables {a}/domain-names {a}/tcp-redirections {a}/scalability {a}/service-dependencies
{a}/log-drains {a}/settings /users/me/information /users/me/emails /users/me/ssh-keys /users/me/api-tokens
/users/me/sessions /installation /installation/people /users/me/security"""


def test_every_page_is_fit_for_everybody_in_both_themes_narrow_and_wide(before: Desk, shop: str) -> None:
    """axe finds nothing; at 320 pixels nothing runs out of the page; no rule is broken; nobody else is asked."""
    tab = before.operator()
    found: list[str] = []
    for each in PAGES.split():
        path = each.format(o=owner_of(shop).rpartition("/")[2], a=shop)
        name = each.format(o="", a="/app").replace("/", "-").strip("-") or "home"
        tab.page.set_viewport_size({"width": 1280, "height": 860})
        tab.page.emulate_media(color_scheme="light")
        _look(tab, path)
        found += [f"{each}: {line}" for line in tab.axe()]
        tab.shot(f"light-{name}")
        tab.page.emulate_media(color_scheme="dark")
        found += [f"{each} in the dark: {line}" for line in tab.axe("color-contrast")]
        tab.shot(f"dark-{name}")
        tab.page.set_viewport_size({"width": 320, "height": 640})
        wide = tab.page.evaluate("document.documentElement.scrollWidth")
        found += [f"{each}: {wide} pixels wide on 320"] if wide > 320 else []
        found += [f"{each}: {line}" for line in tab.violations()]
    assert found == []
    assert tab.outside == tab.broken == []


def _look(tab: Tab, path: str) -> None:
    tab.page.goto(tab.origin + path)
    tab.page.locator("main h1").wait_for()
    expect(tab.page.locator("main .skeleton")).to_have_count(0)


def test_the_keyboard_alone_reaches_an_application_and_restarts_nothing_by_chance(before: Desk, shop: str) -> None:
    tab = before.operator()
    page = tab.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main h1")).to_be_focused()
    _tab_to(tab, "Acme")
    page.keyboard.press("Enter")
    tab.settle()
    expect(page.locator("main h1")).to_be_focused()
    _tab_to(tab, "shop")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="shop", level=1)).to_be_focused()
    _tab_to(tab, "Stop")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert before.havre.get("shop.havre.localhost")[0] == 200


def _tab_to(tab: Tab, text: str) -> None:
    """Go on with Tab until what has `text` has the focus."""
    for _ in range(40):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.textContent.trim()").startswith(text):
            return
    raise AssertionError(f"Tab never reaches {text!r}")


def test_french_is_spoken_whole_and_the_choice_is_kept(before: Desk, shop: str) -> None:
    tab = before.operator()
    tab.page.get_by_role("button", name="Français").click()
    expect(tab.page.get_by_role("button", name="English")).to_be_visible()
    tab.open(shop)
    expect(tab.page.get_by_role("link", name="Vue d’ensemble")).to_be_visible()
    tab.page.get_by_role("button", name="Thème sombre").click()
    tab.page.reload()
    expect(tab.page.locator("html[data-theme=dark][lang=fr]")).to_be_visible()
    expect(tab.page.get_by_role("button", name="Thème clair")).to_be_visible()


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
