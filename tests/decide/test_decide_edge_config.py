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

from havre.drivers.caddy import EdgeSettings, route_name, static_config
from havre.drivers.caddy.static import PREFIXES
from havre.edge.model import prefixes_of


def settings(**changed: Any) -> EdgeSettings:
    values: dict[str, Any] = {
        "run": Path("/run/x"), "storage": Path("/d/storage"), "access_log": Path("/d/access.log"),
        "caddy_log": Path("/d/caddy.log"), "base_domain": "havre.test", "bind": "127.0.0.1",
        "http_port": 8080, "https_port": 8443,
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


def test_no_proxy_keeps_a_connection_counts_failures_or_cuts_a_stream() -> None:
    proxies = list(handlers(static_config(settings()), "reverse_proxy"))
    assert len(proxies) == 5  # the control plane; an app, and one that is down, on each port
    for each in proxies:
        assert each["transport"]["keep_alive"] == {"enabled": False}
        assert each["stream_close_delay"] == "24h"
        assert "health_checks" not in each and "trusted_proxies" not in each


def test_nothing_is_changed_outside_and_nothing_is_remembered() -> None:
    config = static_config(settings())
    assert config["admin"] == {"listen": "unix//run/x/caddy-admin.sock|0600", "config": {"persist": False}}
    assert config["apps"]["pki"]["certificate_authorities"]["local"]["install_trust"] is False


@pytest.mark.parametrize(("bind", "https"), [("", ":8443"), ("::", "[::]:8443"), ("10.0.0.1", "10.0.0.1:8443")])
def test_the_listeners_are_where_they_are_bound_and_the_edge_can_ask_itself(bind: str, https: str) -> None:
    apps = static_config(settings(bind=bind))["apps"]
    assert apps["http"]["servers"]["https"]["listen"] == [https]
    asked = apps["tls"]["automation"]["on_demand"]["permission"]["endpoint"]
    assert asked.startswith("http://10.0.0.1:8080/" if bind == "10.0.0.1" else "http://127.0.0.1:8080/")


def test_a_wildcard_certificate_is_asked_only_where_clients_believe_it() -> None:
    def automated(base: str) -> list[str]:
        found: list[str] = static_config(settings(base_domain=base))["apps"]["tls"]["certificates"]["automate"]
        return found

    assert "*.havre.test" in automated("havre.test")
    assert not [name for name in automated("paas") if "*" in name]


def test_equal_settings_make_an_equal_configuration_and_a_default_port_is_not_shown() -> None:
    assert json.dumps(static_config(settings())) == json.dumps(static_config(settings()))
    assert "https://{http.request.host}{http.request.uri}" in json.dumps(static_config(settings(https_port=443)))


@pytest.mark.parametrize(
    ("fqdn", "name"),
    [("a.test", "a.test.sock"), ("a.test/b/c", "a.test/b/c.sock"), ("*.a.test/b", "_.a.test/b.sock")],
)
def test_a_name_stands_in_one_file(fqdn: str, name: str) -> None:
    assert route_name(fqdn) == name


@given(st.text(alphabet="/ab.~-_%é\n", max_size=30).map(lambda text: "/" + text))
def test_the_proxy_and_the_room_see_the_same_prefixes_and_none_climbs(path: str) -> None:
    found = re.match(PREFIXES.replace("$)", r"\Z)"), path)
    groups = [group or "" for group in found.groups()] if found else []
    proxy = ["".join(groups[:depth]) for depth in range(len(groups), 0, -1)]
    assert list(dict.fromkeys(proxy)) == prefixes_of(path)
    assert not any(segment in ("", ".", "..") for prefix in prefixes_of(path) for segment in prefix.split("/"))
