"""The console for everybody: accounts, members, sessions, operators; by keyboard, narrow, in the dark and in French."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.system.browser import credentials
from tests.system.console_rig import Desk, Tab, owner_of
from tests.system.rig import NODE_APP

pytestmark = pytest.mark.timeout(600)
STEPS_SEEN = """
new MutationObserver(() => {
  if (document.querySelector('.operations .steps .busy')) document.body.dataset.saw = 'a step on its way';
}).observe(document.querySelector('main'), {childList: true, subtree: true, attributes: true});
"""
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ6t0Uzv8pX5mVtdTQv0m2nJkq7xE4c1y3wS9bA5dFgh"


@pytest.fixture(scope="module")
def shop(before: Desk) -> str:
    """The address of an application that serves; it takes its time to start, so that others see it start."""
    late = (
        NODE_APP["server.js"]
        .replace("server.listen(", "setTimeout(() => server.listen(")
        .replace('0.0")', '0.0"), 5000)')
    )
    tab, folder = before.operator(), before.havre.new_repository("shop", NODE_APP | {"server.js": late})
    owner = tab.make("/v2/organisations", {"name": "Acme"})
    app = tab.make(f"/v2/organisations/{owner}/applications", tab.node_app("shop"))
    before.havre.clever("link", app, cwd=folder)
    before.havre.deploy(folder)
    return f"/organisations/{owner}/applications/{app}"


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


def test_the_branch_is_set_in_the_settings_and_copying_there_saves_nothing(before: Desk, shop: str) -> None:
    tab = before.operator()
    page, written = tab.page, []
    tab.open(shop + "/settings")
    page.on("request", lambda asked: written.append(asked.url) if asked.method == "PUT" else None)
    page.get_by_label("Branch").fill("main")
    page.locator("form .copyable button").first.click()
    expect(page.locator(".toast.good", has_text="Copied")).to_be_visible()
    assert written == []
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast.good", has_text="Saved")).to_be_visible()
    assert page.evaluate("path => fetch(path).then(answer => answer.json())", f"/v2{shop}")["branch"] == "main"
    page.locator(".toast", has_text="Saved").get_by_role("button", name="Close").click()
    expect(page.locator(".toast", has_text="Saved")).to_have_count(0)
    page.get_by_label("Branch").fill("a b")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast.bad", has_text="is not the name of a branch")).to_be_visible()
    assert tab.axe() == []
    assert tab.violations() == tab.outside == tab.broken == []


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
        said = re.sub(
            r"\d+", r"\\d+", re.escape(each["follows"] or each["seen"])
        )  # what there is, and is free, changes
        expect(page.locator(".findings li", has_text=re.compile(said)).first).to_be_visible()
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


PAGES = """/ /organisations/{o} /organisations/{o}/applications/new /organisations/{o}/members /organisations/{o}/audit
/organisations/{o}/notifications /organisations/{o}/oauth-consumers /organisations/{o}/settings {a} {a}/activity {a}/logs
{a}/access-logs {a}/environment-variables {a}/domain-names {a}/tcp-redirections {a}/scalability {a}/service-dependencies
{a}/log-drains {a}/settings /users/me/information /users/me/emails /users/me/ssh-keys /users/me/api-tokens
/users/me/sessions /installation /installation/people /users/me/security"""

GO = """path => {
  if (path.endsWith('/security')) return false;
  if (path === location.pathname) return true;
  document.querySelector('main .page').dataset.left = '';
  history.pushState(null, '', path);
  dispatchEvent(new Event('hv-go'));
  return true;
}"""


@pytest.mark.parametrize("themes", [("light",), pytest.param(("light", "dark"), marks=pytest.mark.soak)], ids="+".join)
def test_every_page_is_fit_for_everybody_narrow_and_wide(before: Desk, shop: str, themes: tuple[str, ...]) -> None:
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
        if "dark" in themes:
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
    """As a link takes one there; what has no page in the console is loaded."""
    if tab.page.evaluate(GO, path):
        tab.page.locator("main .page:not([data-left])").wait_for()
    else:
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
