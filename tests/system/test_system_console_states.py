"""What every page of the console says while it waits, when there is nothing yet, when the API says no, and when the platform
is away; and that it comes back by itself. One walk over all routes that the console has, driven by the table below."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.system.console_rig import Desk, Tab

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).resolve().parents[2]
MAIN, WEB = ROOT / "console" / "src" / "main.ts", ROOT / "src" / "havre" / "console" / "web"
API = re.compile(r"^https://[^/]+/(v2|v4|api-tokens)\b(?!/havre/changes)")
EMPTY, A = "/organisations/{e}", "/organisations/{o}/applications/{a}"
# What each page says when there is nothing yet: the first half that it is so, the second half what to do about it. Pages
# that are never empty say what they are for.
ROUTES = {
    "/": ("0 applications", "New organisation"),
    "/organisations": ("0 applications", "New organisation"),
    EMPTY: ("No application yet", "New application"),
    f"{EMPTY}/applications": ("No application yet", "New application"),
    f"{EMPTY}/applications/new": ("What kind of application", "Create the application"),
    f"{EMPTY}/members": ("Your account", "Somebody with an account here is a member at once"),
    f"{EMPTY}/audit": ("Result", "done"),
    f"{EMPTY}/notifications": ("Nobody is told", "Add the address of a program"),
    f"{EMPTY}/oauth-consumers": ("No program may ask yet", "is registered here first"),
    f"{EMPTY}/oauth-consumers/:key": ("There is nothing here", "Try again"),
    f"{EMPTY}/settings": ("Your role", "Leave"),
    A: ("Never deployed", "clever deploy"),
    f"{A}/activity": ("Nothing was deployed yet", "Push your code"),
    f"{A}/deployments/:deployment": ("There is nothing here", "Try again"),
    f"{A}/logs": ("Waiting for lines", "Push your code"),
    f"{A}/access-logs": ("No request in the last hour", "Push your code"),
    f"{A}/environment-variables": ("Variables of this application", "Add"),
    f"{A}/domain-names": ("quiet.", "CNAME"),
    f"{A}/tcp-redirections": ("No port is open", "Open a port"),
    f"{A}/scalability": ("At least", "Save and restart"),
    f"{A}/service-dependencies": ("It needs none", "Link another application"),
    f"{A}/log-drains": ("The lines are sent nowhere else", "Address"),
    f"{A}/settings": ("Force HTTPS", "Save"),
    "/users/me/information": ("Signing in", "Password and two-step sign-in"),
    "/users/me/emails": ("Secondary", "Add"),
    "/users/me/ssh-keys": ("No key", "The content of a file such as"),
    "/users/me/api-tokens": ("No token", "for scripts"),
    "/users/me/oauth-tokens": ("Browsers", "this one"),
    "/users/me/sessions": ("Browsers", "this one"),
    "/installation": ("Nothing is under way", "in order"),
    "/installation/people": ("E-mail address", "Add"),
}
STATUSES = {
    400: ("Something went wrong", 4000),
    403: ("Your role does not allow this", 4003),
    404: ("There is nothing here", 4004),
    500: ("Something went wrong", 5000),
}
# The routes that are about one thing which an empty organisation does not have.
MISSING = {path for path, (says, _) in ROUTES.items() if says == STATUSES[404][0]}
# Other addresses of pages that are walked already.
ALIASES = {"/organisations", f"{EMPTY}/applications", "/users/me/oauth-tokens"}


@dataclass
class Answers:
    """What the API answers the pages of a browser: the truth, nothing yet, or no."""

    status: int = 0
    isHeld: bool = False
    held: list[Route] = field(default_factory=list)

    def __call__(self, route: Route) -> None:
        if self.isHeld:
            self.held.append(route)
        elif self.status:
            body = json.dumps({"id": STATUSES[self.status][1], "message": "as was asked for", "type": "error"})
            route.fulfill(status=self.status, body=body, content_type="application/json")
        else:
            route.continue_()

    @contextmanager
    def holding(self) -> Iterator[None]:
        self.isHeld = True
        try:
            yield
        finally:
            self.isHeld = False
            while self.held:
                self.held.pop().continue_()


@dataclass
class Walk:
    """One tab that goes from page to page as a link takes it there."""

    tab: Tab
    empty: str
    owner: str
    app: str
    answers: Answers

    def path(self, route: str) -> str:
        shown = route.format(e=self.empty, o=self.owner, a=self.app)
        return shown.replace(":key", "none").replace(":deployment", "deployment_none")

    def go(self, route: str) -> None:
        self.tab.page.evaluate(
            "path => { history.pushState(null, '', path); dispatchEvent(new Event('hv-go')) }", self.path(route)
        )


@pytest.fixture(scope="module")
def walk(before: Desk) -> Walk:
    """An organisation with nothing in it, and one with an application that nobody pushed."""
    tab = before.operator()
    empty = tab.make("/v2/organisations", {"name": "Empty"})
    owner = tab.make("/v2/organisations", {"name": "Quiet"})
    app = tab.make(f"/v2/organisations/{owner}/applications", tab.node_app("quiet"))
    answers = Answers()
    tab.page.route(API, answers)
    return Walk(tab, empty, owner, app, answers)


def test_every_route_of_the_console_is_walked() -> None:
    rules = re.findall(r"^rule\(\s*['`]?([^,'`]+)", MAIN.read_text(), re.MULTILINE)
    known = {"O": EMPTY, "A": A}
    walked = {known.get(each, each).replace("${O}", EMPTY).replace("${A}", A) for each in rules}
    assert walked == set(ROUTES)


def test_each_page_says_that_it_waits_and_then_what_to_do_where_nothing_is(walk: Walk) -> None:
    main = walk.tab.page.locator("main")
    found: list[str] = []
    for route, (says, hint) in ROUTES.items():
        with walk.answers.holding():
            walk.go(route)
            waits = main.get_by_role("status", name="Loading")
            expect(waits, f"{route} says that it waits").to_be_visible()
            expect(main.locator("h1"), f"{route} has its heading at once").not_to_be_empty()
        expect(waits, f"{route} waits no more").to_have_count(0)
        expect(main.get_by_role("alert"), route).to_have_count(1 if route in MISSING else 0)
        found += [f"{route} says {part!r}" for part in (says, hint) if not _appears(walk.tab.page, part)]
    assert not found, "\n".join(found)
    assert walk.tab.violations() == walk.tab.outside == walk.tab.broken == []


def _appears(page: Page, text: str) -> bool:
    shown = page.locator("main").get_by_text(text).or_(page.locator("main").get_by_role("button", name=text))
    try:
        expect(shown.first).to_be_visible(timeout=20_000)
    except AssertionError:
        return False
    return True


def test_each_page_says_what_the_api_refused_and_shows_itself_when_asked_again(walk: Walk) -> None:
    main = walk.tab.page.locator("main")
    alert, again = main.get_by_role("alert"), main.get_by_role("button", name="Try again")
    for route in ROUTES:
        walk.answers.status = 403
        walk.go(route)
        for status, (title, _) in reversed(STATUSES.items()):
            walk.answers.status = status
            again.click()
            expect(alert, f"{route}, answered with {status}").to_contain_text(title)
        walk.answers.status = 0
        again.click()
        expect(alert, f"{route}, answered").to_have_count(0 if route not in MISSING else 1)
        expect(main.locator(".page"), f"{route}, answered").not_to_contain_text(STATUSES[500][0])
    assert walk.tab.violations() == walk.tab.outside == walk.tab.broken == []


def test_the_frame_says_that_it_waits_and_what_is_wrong_before_anybody_is_known(before: Desk, walk: Walk) -> None:
    page, answers = walk.tab.page.context.new_page(), Answers()
    page.route(API, answers)
    with answers.holding():
        page.goto(walk.tab.origin, wait_until="commit")
        expect(page.get_by_role("status", name="Loading")).to_be_visible()
        answers.status = 500
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong")
    answers.status = 0
    expect(page.locator("main h1")).to_have_text("Organisations")  # by itself
    page.close()


def test_what_the_api_refuses_is_said_in_french(before: Desk, walk: Walk) -> None:
    tab = before.operator(language="fr-FR")
    tab.page.route(API, walk.answers)
    for route, text in (
        (f"{EMPTY}/oauth-consumers/:key", "Le consommateur OAuth est introuvable"),
        ("/organisations/orga_nobodys", "L’organisation est introuvable"),
    ):
        tab.page.goto(tab.origin + walk.path(route))
        expect(tab.page.get_by_role("alert")).to_contain_text(text)
    tab.open(walk.path(f"{A}/domain-names"))
    tab.page.locator("input[name=domain]").fill("boutique")
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_text("Le domaine 'boutique' n’est pas valable : il y faut un point")).to_be_visible()
    with_english = "La demande n’est pas valable (as was asked for)"  # what the table does not know
    walk.answers.status = 400
    try:
        tab.page.goto(tab.origin)
        expect(tab.page.get_by_role("alert")).to_contain_text(with_english)
    finally:
        walk.answers.status = 0
    assert tab.violations() == tab.outside == tab.broken == []


def test_what_the_platform_says_of_a_deployment_is_said_in_french_and_what_a_program_says_stays(
    before: Desk, walk: Walk
) -> None:
    said = {
        "build failed: out of memory (512 MiB; clever scale --build-flavor M gives more)": "mémoire épuisée (512 Mio",
        "build failed: Not Found": "le build a échoué : Not Found",
        "the app ended while it started: exit code 3": "pendant son démarrage : code de retour 3",
        "words that nobody knows": "words that nobody knows",
    }
    tab, deployments = before.operator(language="fr-FR"), re.compile(r"/deployments(\?|/[^/]+/progress)")
    row = {"id": 1, "uuid": "deployment_x", "date": 1_800_000_000_000, "endedAt": 1_800_000_001_000, "state": "FAIL"}
    row |= {"action": "DEPLOY", "commit": "0" * 40, "author": {"name": "Havre"}}
    row |= {"cause": "Monitoring/Scaling: 2 × S because no request came for 60 s"}
    shown: dict[str, Any] = {}

    def answer(route: Route) -> None:
        body = shown if "/progress" in route.request.url else [row]
        route.fulfill(body=json.dumps(body), content_type="application/json")

    tab.page.route(deployments, answer)
    for english, french in said.items():
        shown |= row | {"id": "deployment_x", "number": 1, "startedAt": row["date"], "author": "Havre"}
        shown |= {"error": english, "note": "", "steps": []}
        tab.open(walk.path(f"{A}/activity"))
        expect(tab.page.get_by_role("alert")).to_contain_text(french)
        expect(tab.page.get_by_text("2 × S, car aucune demande n’est venue pendant 60 s")).to_be_visible()
        assert _weight_kb(tab.page) <= 110
    assert tab.violations() == tab.outside == tab.broken == []


def test_an_application_shows_who_needs_it(walk: Walk) -> None:
    tab, apps = walk.tab, f"/v2/organisations/{walk.owner}/applications"
    other = tab.make(apps, tab.node_app("needy"))
    tab.open(walk.path(f"{A}/service-dependencies"))
    needing = tab.page.locator("main .panel", has_text="Applications that need this one")
    expect(needing).to_contain_text("No application needs it")
    tab.make(f"{apps}/{other}/dependencies/{walk.app}", {}, method="PUT")
    expect(needing.get_by_role("link", name="needy")).to_be_visible()  # by itself
    tab.make(f"{apps}/{other}/dependencies/{walk.app}", {}, method="DELETE")
    expect(needing).to_contain_text("No application needs it")
    tab.make(f"{apps}/{other}", {}, method="DELETE")
    assert tab.violations() == tab.outside == tab.broken == []


# What a page says: its texts and what is read out or stands in empty fields.
SAID = """() => {
  const found = [], seen = root => {
    for (const each of root.querySelectorAll('*')) {
      if (each.closest('script, style, code, pre, option[value]')) continue;
      for (const name of ['aria-label', 'placeholder', 'title']) found.push(each.getAttribute(name) ?? '');
      for (const node of each.childNodes) if (node.nodeType === 3) found.push(node.data.replace(/\\s+/g, ' ').trim());
      if (each.shadowRoot) seen(each.shadowRoot);
    }
  };
  seen(document.body);
  return [...new Set(found)].filter(text => /[A-Za-z]{3}/.test(text));
}"""
# The same in both languages: words, names of things and people, codes, what is typed as it stands.
ALIKE = re.compile(
    r"""(1\ )?applications? | Actions | Admin | Applications | CNAME | CPUs? | Commit | DNS | Date | Description | Docker | Expert
    | Format | Git | Havre.* | Installation | Instances? | Isolation | JSON | Manager | Notifications | Options | Organisations?
    | Quotas | Sessions | Simple | TLS | URL | Webhooks | cgroup.* | clever | cleverapps | default | git | instances | migrations
    | routes? | sessions | sources | veth | pasta | proxy | (Empty|Quiet|Operator|quiet).* | (Applications|Instances):.*
    | Chrome.* | [A-Z]+_[A-Z]+ | DATADOG | ELASTICSEARCH | NEWRELIC | flowdock | gitter | raw | slack | nano | pico
    | (Elixir|Haskell|Java|Linux|Node|PHP|Play|Python|Ruby|Rust|Scala|Static|Go)\b[^:]* | -----.*
    | [a-z0-9.+-]+(,\ [a-z0-9.+-]+){4,}.*
    | &nbsp; | /.* | stack_.* | (https:|ssh-|\S+@|shop\.)\S*(\ AAAA…)? | production\ team:web | This\ console\ needs.*""",
    re.VERBOSE,
)


@pytest.mark.soak  # the tables are held by tests/conventions in every run
def test_no_page_is_english_where_french_is_chosen(before: Desk, walk: Walk) -> None:
    tabs = [before.operator(language=each) for each in ("en-GB", "fr-FR")]
    alike: dict[str, set[str]] = {}
    heavy: dict[str, float] = {}
    for route in ROUTES:
        said: list[set[str]] = []
        for tab in tabs:
            tab.page.goto(tab.origin + walk.path(route))
            tab.settle()
            said.append(set(tab.page.evaluate(SAID)))
        weight = _weight_kb(tabs[1].page)
        if weight > (150 if route == A else 110):
            heavy[route] = weight
        for text in said[0] & said[1]:
            if not ALIKE.fullmatch(text):
                alike.setdefault(text, set()).add(route)
    assert heavy == {}
    tabs[1].open(walk.path(f"{EMPTY}/audit"))
    expect(tabs[1].page.get_by_role("cell", name="organisation créée", exact=True)).to_be_visible()
    assert not alike, "\n".join(f"{text}: {sorted(routes)[0]}" for text, routes in sorted(alike.items()))


@pytest.mark.soak  # of one page it is tried in every run (test_system_console.py)
def test_every_page_says_that_the_platform_is_killed_and_comes_back_by_itself(before: Desk, walk: Walk) -> None:
    """All of them open at once, each in a tab of its own; one kill for all. None weighs more than it may."""
    context = walk.tab.page.context
    pages = {route: context.new_page() for route in ROUTES if route not in ALIASES}
    for route, page in pages.items():
        page.goto(walk.tab.origin + walk.path(route), wait_until="commit")
    for route, page in pages.items():
        _is_shown(route, page)
        assert _weight_kb(page) <= (150 if route == A else 110), route
        page.evaluate("window.__here = true")
    before.havre.kill_control_plane()
    for route, page in pages.items():
        expect(page.get_by_role("status").get_by_text("comes back by itself").first, route).to_be_visible()
    before.havre.havre("up", "--detach")
    for route, page in pages.items():
        expect(page.get_by_text("comes back by itself"), route).to_have_count(0)
        _is_shown(route, page)
        assert page.evaluate("window.__here"), f"{route} was loaded again"
        page.close()


def _weight_kb(page: Page) -> float:
    """Of the files that the page loaded, compressed as it may get them at worst."""
    names: list[str] = page.evaluate(
        "performance.getEntriesByType('resource').map(each => new URL(each.name).pathname)"
    )
    files = [WEB / name.lstrip("/") for name in set(names) if name.startswith("/assets/")]
    packed = [each.with_name(each.name + ".gz") for each in (*files, WEB / "index.html")]
    return sum((each if each.exists() else each.with_suffix("")).stat().st_size for each in packed) / 1000


def _is_shown(route: str, page: Page) -> None:
    expect(page.locator("main h1"), route).not_to_be_empty()
    expect(page.locator("main .skeleton"), route).to_have_count(0)
    expect(page.locator("main").get_by_role("alert"), route).to_have_count(1 if route in MISSING else 0)
