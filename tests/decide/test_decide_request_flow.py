"""The request flow: which chain is asked for, on which ports, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.apps import runtimes
from havre.apps.runtimes import Plan, Tree
from havre.apps.runtimes.request_flow import APP_PORT, PUBLIC_PORT
from havre.base.errors import InvalidError

CUSTOM = {"CC_REQUEST_FLOW_CUSTOM": "./proxy --listen @@LISTEN_PORT@@ --forward @@FORWARD_PORT@@"}
SIGN_IN = {
    "OAUTH2_PROXY_CLIENT_ID": "shop", "OAUTH2_PROXY_COOKIE_SECRET": "0123456789abcdef", "OAUTH2_PROXY_EMAIL_DOMAINS": "*",
}  # fmt: skip


def detected(env: Mapping[str, str], *names: str) -> Plan:
    return runtimes.detect("static", Tree(frozenset({"index.html", *names}), {}), env, memory_mib=1024)


def shape(plan: Plan) -> list[tuple[str, int]]:
    return [(each.name, each.port) for each in plan.flow]


def test_without_a_flow_the_app_has_the_public_port() -> None:
    plan = detected({})
    assert plan.flow == () and plan.port == 8080 and runtimes.checked_ports(plan) == ()
    assert runtimes.told_flow(plan) == ()


@pytest.mark.parametrize(
    ("env", "names", "chain"),
    [
        ({}, ("clevercloud/varnish.vcl",), [("varnish", 8080)]),
        ({"CC_VARNISH_FILE": "/config/cache.vcl"}, (), [("varnish", 8080)]),
        ({"CC_REQUEST_FLOW": "varnish"}, (), [("varnish", 8080)]),
        ({"CC_REQUEST_FLOW": "oauth2-proxy", **SIGN_IN}, ("clevercloud/varnish.vcl",), [("oauth2-proxy", 8080)]),
        ({"CC_REQUEST_FLOW": " oauth2-proxy, Varnish ", **SIGN_IN}, (), [("oauth2-proxy", 8080), ("varnish", 8081)]),
        (
            {"CC_REQUEST_FLOW": "varnish,custom,oauth2-proxy", **SIGN_IN, **CUSTOM}, (),
            [("varnish", 8080), ("custom", 8081), ("oauth2-proxy", 8082)],
        ),
        ({"CC_REQUEST_FLOW": "disable"}, ("clevercloud/varnish.vcl",), []),
        ({"CC_REQUEST_FLOW": "varnish,block"}, (), [("block", 8080)]),
    ],
)  # fmt: skip
def test_the_chain_is_what_is_asked_for(env: dict[str, str], names: tuple[str, ...], chain: list[object]) -> None:
    plan = detected(env, *names)
    assert shape(plan) == chain
    assert plan.port == (APP_PORT if chain else PUBLIC_PORT)


@given(st.lists(st.sampled_from(["varnish", "custom", "oauth2-proxy"]), min_size=1, max_size=8))
def test_each_part_hands_on_to_the_one_behind_it_and_the_last_to_the_app(names: list[str]) -> None:
    plan = detected({"CC_REQUEST_FLOW": ",".join(names), **SIGN_IN, **CUSTOM})
    listening = [each.port for each in plan.flow]
    assert listening == list(range(PUBLIC_PORT, PUBLIC_PORT + len(names)))
    for part, onward in zip(plan.flow, [*listening[1:], plan.port], strict=True):
        assert str(part.port) in part.start and str(onward) in part.start
    assert set(runtimes.checked_ports(plan)) == {*listening[1:], APP_PORT}


def test_only_the_outermost_can_be_reached_from_outside() -> None:
    plan = detected({"CC_REQUEST_FLOW": "varnish,oauth2-proxy", **SIGN_IN})
    assert "-a 0.0.0.0:8080 " in plan.flow[0].start
    assert "--http-address=127.0.0.1:8081 " in plan.flow[1].start


def test_the_build_log_names_the_chain() -> None:
    plan = detected({"CC_REQUEST_FLOW": "oauth2-proxy,varnish", **SIGN_IN})
    assert runtimes.told_flow(plan) == (
        "Request flow: oauth2-proxy on 8080 > varnish on 8081 > the app on 9000 (PORT)",
    )
    (line,) = runtimes.told_flow(detected({"CC_REQUEST_FLOW": "block"}))
    assert "answers 200 to everything" in line


def test_a_blocked_app_is_not_asked_for_its_health() -> None:
    assert runtimes.checked_ports(detected({"CC_REQUEST_FLOW": "block"})) == ()


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"CC_REQUEST_FLOW": "varnihs"}, "varnihs is not one of varnish, oauth2-proxy, custom"),
        ({"CC_REQUEST_FLOW": "redirectionio"}, "redirectionio is not offered"),
        ({"CC_REDIRECTIONIO_PROJECT_KEY": "k"}, "redirectionio, which is not offered"),
        ({"OTOROSHI_CHALLENGE_SECRET": "s"}, "otoroshi-challenge, which is not offered"),
        ({"CC_REQUEST_FLOW": "custom"}, "needs CC_REQUEST_FLOW_CUSTOM"),
        ({"CC_REQUEST_FLOW": "custom", "CC_REQUEST_FLOW_CUSTOM": "./p @@LISTEN_PORT@@"}, "@@FORWARD_PORT@@"),
        ({"CC_REQUEST_FLOW": "oauth2-proxy"}, "OAUTH2_PROXY_CLIENT_ID; OAUTH2_PROXY_COOKIE_SECRET or"),
        ({"CC_REQUEST_FLOW": "varnish", "CC_VARNISH_STORAGE_SIZE": "1G,evil"}, "is not a size"),
        ({"CC_VARNISH_FILE": "/../../etc/passwd"}, "must be a file of the app"),
        ({"CC_VARNISH_FILE": '/a";cat'}, "must be a file of the app"),
        ({"CC_REQUEST_FLOW": ",".join(["varnish"] * 9)}, "at most 8"),
    ],
)
def test_what_cannot_be_had_is_refused_with_its_reason(env: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidError) as refused:
        detected(env)
    assert says in refused.value.message


def test_what_is_not_offered_can_be_done_without_on_purpose() -> None:
    assert detected({"OTOROSHI_CHALLENGE_SECRET": "s", "CC_REQUEST_FLOW": "disable"}).flow == ()


def test_what_the_parts_need_is_in_the_plan() -> None:
    plan = detected({"CC_REQUEST_FLOW": "varnish,oauth2-proxy", **SIGN_IN})
    assert {"caddy", "oauth2-proxy"} <= set(plan.toolchains)
    assert "varnish" in plan.packages
    assert plan.env["HAVRE_VARNISH_MIB"] == "$MIB_25"


@pytest.mark.parametrize("slug", ["python", "static"])
def test_a_server_of_the_platforms_follows_the_apps_port(slug: str) -> None:
    tree = Tree(frozenset({"index.html", "requirements.txt"}), {})
    plan = runtimes.detect(slug, tree, {"CC_PYTHON_MODULE": "app:app", "CC_REQUEST_FLOW": "varnish"}, memory_mib=1024)
    assert "$PORT" in plan.start and "8080" not in plan.start
