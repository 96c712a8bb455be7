"""What must stay true of the proxy's one configuration, whatever else changes in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.drivers.caddy import EdgeSettings, fqdn_of, route_name, static_config
from havre.drivers.caddy.settings import doors
from havre.drivers.caddy.static import PREFIXES
from havre.edge.model import prefixes_of


def settings(**changed: Any) -> EdgeSettings:
    values: dict[str, Any] = {
        "run": Path("/run/x"), "storage": Path("/d/storage"), "access_log": Path("/d/access.log"),
        "caddy_log": Path("/d/caddy.log"), "base_domain": "havre.test", "bind": "127.0.0.1",
        "http_port": 8080, "https_port": 8443, "secret": "hush",
    }  # fmt: skip
    return EdgeSettings(**(values | changed))


def handlers(tree: Any, kind: str) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if tree.get("handler") == kind:
            yield tree
        for each in tree.values():
            yield from handlers(each, kind)
    elif isinstance(tree, list):
        for each in tree:
            yield from handlers(each, kind)


def test_a_connection_is_kept_under_a_name_that_changes_with_whom_it_leads_to_and_under_no_other() -> None:
    """The control plane, an app, its instance for who stays and when that is gone: a connection for each request."""
    proxies = list(handlers(static_config(settings()), "reverse_proxy"))
    kept = [each for each in proxies if "matchers.file.absolute" in each["upstreams"][0]["dial"]]
    assert len(kept) == 4, "on each port the short way and the long one"
    at_once = [each for each in proxies if "/k/" in each["upstreams"][0]["dial"]]
    assert len(at_once) == 1, "on the port of HTTPS"
    kept += at_once
    assert all(each["transport"]["keep_alive"] == {"idle_timeout": "1000ms"} for each in kept)
    assert all(each["transport"]["keep_alive"] == {"enabled": False} for each in proxies if each not in kept)


def test_no_proxy_counts_failures_or_cuts_a_stream() -> None:
    for each in handlers(static_config(settings()), "reverse_proxy"):
        assert each["stream_close_delay"] == "24h"
        assert "health_checks" not in each and "trusted_proxies" not in each


def test_nothing_is_changed_outside_and_nothing_is_remembered() -> None:
    config = static_config(settings())
    assert config["admin"] == {"listen": "unix//run/x/caddy-admin.sock|0600", "config": {"persist": False}}
    assert "pki" not in config["apps"], "Caddy has no authority of its own, which it would put into the host's trust"


@pytest.mark.parametrize(
    ("bind", "names"),
    [
        ("", ["fd/3", "fdgram/4"]),
        ("127.0.0.1", ["fd/3", "fdgram/4"]),
        ("127.0.0.1, ::1", ["fd/3", "fdgram/4", "fd/6", "fdgram/7"]),
    ],
)
def test_the_listeners_are_the_keepers_sockets_in_the_order_of_the_doors(bind: str, names: list[str]) -> None:
    told = settings(bind=bind)
    servers = static_config(told)["apps"]["http"]["servers"]
    assert servers["https"]["listen"] == names
    assert len(servers["https"]["listen_protocols"]) == len(names)
    assert servers["http"]["listen"] == [f"fd/{number + 5}" for number in range(0, len(doors(told)), 3)]
    assert [(each.kind, each.port) for each in doors(told)[:3]] == [("tcp", 8443), ("udp", 8443), ("tcp", 8080)]


@pytest.mark.parametrize(
    ("bind", "asked"), [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("10.0.0.1", "10.0.0.1"), ("::1", "[::1]")]
)
def test_the_edge_asks_itself_for_certificates_where_it_listens(bind: str, asked: str) -> None:
    policy = static_config(settings(bind=bind))["apps"]["tls"]["automation"]["policies"][0]
    assert policy["get_certificate"][0]["url"] == f"http://{asked}:8080/.well-known/havre/certificate/hush"
    assert "issuers" not in policy


def test_a_balancer_is_believed_only_when_it_is_named() -> None:
    assert "listener_wrappers" not in json.dumps(static_config(settings()))
    servers = static_config(settings(proxy_protocol_from=("10.0.0.0/8",)))["apps"]["http"]["servers"]
    for each in servers.values():
        assert each["listener_wrappers"][0]["allow"] == ["10.0.0.0/8"]


def test_equal_settings_make_an_equal_configuration_and_a_default_port_is_not_shown() -> None:
    assert json.dumps(static_config(settings())) == json.dumps(static_config(settings()))
    assert "https://{http.request.host}{http.request.uri}" in json.dumps(static_config(settings(https_port=443)))


@pytest.mark.parametrize(
    ("fqdn", "name"),
    [("a.test", "a.test.sock"), ("a.test/b/c", "a.test/b/c.sock"), ("*.a.test/b", "_.a.test/b.sock")],
)
def test_a_name_stands_in_one_file(fqdn: str, name: str) -> None:
    assert route_name(fqdn) == name
    assert fqdn_of(name) == fqdn


@given(st.text(alphabet="/ab.~-_%é\n", max_size=30).map(lambda text: "/" + text))
def test_the_proxy_and_the_room_see_the_same_prefixes_and_none_climbs(path: str) -> None:
    found = re.match(PREFIXES.replace("$)", r"\Z)"), path)
    groups = [group or "" for group in found.groups()] if found else []
    proxy = ["".join(groups[:depth]) for depth in range(len(groups), 0, -1)]
    assert list(dict.fromkeys(proxy)) == prefixes_of(path)
    assert not any(segment in ("", ".", "..") for prefix in prefixes_of(path) for segment in prefix.split("/"))
