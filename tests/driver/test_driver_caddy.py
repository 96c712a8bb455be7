"""What the edge answers, asked of the real Caddy."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.driver.caddy_rig import CaddyRig, Upstream, running_rig, says, until


@pytest.fixture(scope="module")
def shared() -> Iterator[CaddyRig]:
    with running_rig() as rig:
        rig.upstreams.append(Upstream(rig.run / "api.sock", says("control plane")))
        yield rig


@pytest.fixture
def rig(shared: CaddyRig) -> Iterator[CaddyRig]:
    """The module's Caddy, without routes."""
    yield shared
    for flag in ("known", "down", "force-https", "sticky"):
        for each in (shared.run / "flags" / flag).rglob("*.sock"):
            each.unlink()
    for each in (shared.run / "routes").rglob("*.sock"):
        each.unlink()


# names


def test_an_unknown_host_is_a_404_page_for_people_and_json_for_programs(rig: CaddyRig) -> None:
    page = rig.ask("nobody.havre.test")
    assert (page.status, "no application" in page.text) == (404, True)
    assert json.loads(rig.ask("nobody.havre.test", Accept="application/json").text)["type"] == "error"
    assert rig.ask("nobody.havre.test", secure=True).status == 404


def test_each_name_leads_to_its_app_and_to_no_other(rig: CaddyRig) -> None:
    for name in ("one", "two"):
        rig.upstream(name, says(name))
        rig.route(f"{name}.havre.test", name)
    for secure in (False, True):
        assert rig.ask("one.havre.test", secure=secure).text == "one"
        assert rig.ask("two.havre.test", secure=secure).text == "two"
    assert rig.ask("one.havre.test:1234").text == "one"


@pytest.mark.parametrize("host", ["SHOP.havre.test", "shop.havre.test.", "Shop.Havre.Test.:8080"])
def test_another_form_of_a_name_is_sent_to_the_normal_one(rig: CaddyRig, host: str) -> None:
    rig.upstream("a", says("a"))
    rig.route("shop.havre.test", "a")
    answer = rig.ask(host, "/x?y=%2F&z")
    port = ":8080" if ":" in host else ""
    assert (answer.status, answer.headers["location"]) == (308, f"http://shop.havre.test{port}/x?y=%2F&z")


@pytest.mark.parametrize(
    "host", ["../shop", "x/../shop", "..%2fshop", "shop_", "", "é", "*", "_.wild.test", "{http.request.uri}", "a b"]
)
def test_what_cannot_be_a_host_reaches_nothing(rig: CaddyRig, host: str) -> None:
    upstream = rig.upstream("a", says("a"))
    rig.route("shop", "a")
    rig.route("*.wild.test", "a")
    answer = rig.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ", 2)[1] in (b"400", b"404"), answer
    assert upstream.seen == []


def test_a_path_prefix_belongs_to_its_app_and_is_not_taken_away(rig: CaddyRig) -> None:
    for name in ("site", "api", "v2"):
        rig.upstream(name, says(name))
    rig.route("www.shop.test", "site")
    rig.route("www.shop.test/api", "api")
    rig.route("www.shop.test/api/x/v2", "v2")
    answers = {
        path: rig.ask("www.shop.test", path).text
        for path in ("/", "/apix", "/API", "/x/api", "//api", "/./api", "/x/../api")
    }
    assert set(answers.values()) == {"site"}
    answers = {path: rig.ask("www.shop.test", path).text for path in ("/api", "/api/", "/api?q", "/api/x/v", "/%61pi")}
    assert set(answers.values()) == {"api"}
    assert rig.ask("www.shop.test", "/api/x/v2/deep").text == "v2"
    assert rig.upstreams[-1].seen[-1][0] == "/api/x/v2/deep"


@pytest.mark.parametrize(
    "path",
    [
        "/../b.test", "/..%2fb.test", "/%2e%2e/b.test", "/..%2f..%2fb.test", "/x/..%2f..%2fb.test", "/..%5cb.test",
        "/..%2fb.test/api", "/x/../../b.test", "/%2e%2e%2f_.wild.test", "//..//b.test", "/..%2fb%2etest.sock%00",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_its_host(rig: CaddyRig, path: str) -> None:
    """`https://a.test/..%2fb.test` must not show b's page inside the origin of a."""
    for name in ("a", "b"):
        rig.upstream(name, says(name))
    for fqdn, name in (("a.test", "a"), ("a.test/x", "a"), ("b.test", "b"), ("b.test/api", "b"), ("*.wild.test", "b")):
        rig.route(fqdn, name)
    assert rig.ask("a.test", path).text == "a"


def test_a_wildcard_covers_one_label_and_yields_to_a_whole_name(rig: CaddyRig) -> None:
    for name in ("wild", "one"):
        rig.upstream(name, says(name))
    rig.route("*.wild.test", "wild")
    rig.route("one.wild.test", "one")
    assert rig.ask("two.wild.test").text == "wild"
    assert rig.ask("one.wild.test").text == "one"
    assert rig.ask("two.wild.test", secure=True).text == "wild"
    assert rig.ask("wild.test").status == 404
    assert rig.ask("a.two.wild.test").status == 404


# certificates


def test_a_certificate_is_shown_for_what_is_served_and_for_nothing_else(rig: CaddyRig) -> None:
    rig.upstream("a", says("a"))
    rig.route("www.served.test", "a")
    rig.route("api.served.test/v1", "a")
    assert rig.ask("www.served.test", secure=True).text == "a"
    assert rig.ask("api.served.test", "/v1", secure=True).text == "a"
    for host in ("www.refused.test", "x.www.served.test"):
        with pytest.raises(OSError, match="alert"):
            rig.ask(host, secure=True)


def test_platform_names_and_clients_without_a_name_always_have_a_certificate(rig: CaddyRig) -> None:
    for host in ("localhost", "api.havre.test", "console.havre.test", "127.0.0.1"):
        assert rig.ask(host, secure=True).text == "control plane"


def test_nobody_gets_a_key_without_the_secret(rig: CaddyRig) -> None:
    path = "/.well-known/havre/certificate"
    assert b"PRIVATE KEY" in rig.ask("x", f"{path}/hush?server_name=localhost").body
    for asked in (path, f"{path}/", f"{path}/hush2", f"{path}/hush/..", "/certs/localhost.pem"):
        assert rig.ask("x", f"{asked}?server_name=localhost").status == 404, asked
    for name in ("nope.test", "..", "../certs/localhost", "{env.HOME}", "localhost/", "*", "_.havre.test", "%2e%2e"):
        assert rig.ask("x", f"{path}/hush?server_name={name}").status == 404, name


def test_a_name_in_capitals_has_its_certificate(rig: CaddyRig) -> None:
    rig.upstream("a", says("a"))
    rig.route("www.served.test", "a")
    with rig.connect("WWW.Served.test", secure=True) as tls:
        assert ("DNS", "www.served.test") in tls.getpeercert()["subjectAltName"]  # type: ignore[attr-defined]


def test_another_certificate_is_shown_at_once_and_cuts_nobody(rig: CaddyRig) -> None:
    rig.upstream("a", says("a"))
    rig.route("www.served.test", "a")

    def ask(connection: http.client.HTTPConnection) -> bytes:
        connection.request("GET", "/", headers={"Host": "www.served.test"})
        return connection.getresponse().read()

    kept = http.client.HTTPConnection("www.served.test", timeout=20)
    kept.sock = opened = rig.connect("www.served.test", secure=True)
    assert ask(kept) == b"a"
    serials = set()
    for _ in range(3):
        rig.certify("www.served.test")
        with rig.connect("www.served.test", secure=True) as tls:
            serials.add(tls.getpeercert()["serialNumber"])  # type: ignore[attr-defined]
        assert ask(kept) == b"a" and kept.sock is opened
    assert len(serials) == 3
    kept.close()


def test_what_a_certificate_authority_asks_for_is_answered_and_nothing_beside_it(rig: CaddyRig) -> None:
    upstream = rig.upstream("a", says("a"))
    rig.route("www.served.test", "a")
    rig.force_https("www.served.test")
    (rig.run / "acme" / "tok-en_1").write_text("tok-en_1.print")
    place = "/.well-known/acme-challenge"
    assert rig.ask("www.served.test", f"{place}/tok-en_1").text == "tok-en_1.print"
    for path in (f"{place}/other", f"{place}/..%2fcerts%2flocalhost.pem", f"{place}/", f"{place}/../acme/tok-en_1"):
        assert rig.ask("www.served.test", path).status == 301, path
    assert upstream.seen == []


# what an app sees


def test_what_a_client_says_of_itself_is_not_believed(rig: CaddyRig) -> None:
    upstream = rig.upstream("a", says("a"))
    rig.route("shop.havre.test", "a")
    forged = {"X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "gopher", "X_Forwarded_Host": "evil.test"}
    rig.ask("shop.havre.test", secure=True, X_Real_IP="6.6.6.6", Forwarded="for=6.6.6.6", **forged)
    _, headers, _ = upstream.seen[-1]
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-host"] == headers["host"] == "shop.havre.test"
    assert headers["x-forwarded-port"] == str(rig.settings.https_port)
    assert "forwarded" not in headers


def test_a_trace_goes_on_or_begins_and_stands_in_the_access_log(rig: CaddyRig) -> None:
    upstream = rig.upstream("a", says("a"))
    rig.route("shop.havre.test/traced", "a")
    trace = "0af7651916cd43dd8448eb211c80319c"
    rig.ask(
        "shop.havre.test", "/traced?q=1", Traceparent=f"00-{trace}-b7ad6b7169203331-01", Authorization="Basic c2VjcmV0"
    )
    assert upstream.seen[-1][1]["traceparent"].split("-")[1] == trace
    text = until(lambda: _lines_with(rig, trace), what="a line in the access log")
    line = json.loads(text[0])
    assert line["route"] == "/shop.havre.test/traced.sock" and line["logger"].endswith(".http")
    assert (line["status"], line["size"], line["bytes_read"]) == (200, 1, 0)
    assert (line["request"]["host"], line["request"]["uri"]) == ("shop.havre.test", "/traced?q=1")
    assert isinstance(line["ts"], float) and "error" not in line
    assert line["request"]["client_ip"] == "127.0.0.1" and line["duration"] > 0 and line["upstream_ms"] > 0
    assert "c2VjcmV0" not in text[0] and "headers" not in text[0]
    told = [text[0].index(each) for each in ('{"ts":', '"host":"', '"duration":', '"status":', '"route":"')]
    assert told == sorted(told) and told[0] == 0, "in the order in which they are looked for"
    assert not _lines_with(rig, '"host":"localhost'), "the control plane keeps its own log"
    rig.ask("shop.havre.test", "/traced")
    assert len(upstream.seen[-1][1]["traceparent"].split("-")[1]) == 32


def _lines_with(rig: CaddyRig, text: str) -> list[str]:
    file = rig.settings.access_log
    return [line for line in file.read_text().splitlines() if text in line] if file.exists() else []


def test_an_encoded_slash_arrives_encoded(rig: CaddyRig) -> None:
    rig.ask("localhost", "/v2/vhosts/www.example.com%2Fapi", secure=True)
    assert rig.upstreams[0].seen[-1][0] == "/v2/vhosts/www.example.com%2Fapi"


# plain HTTP


def test_plain_http_is_served_unless_the_app_forces_https(rig: CaddyRig) -> None:
    rig.upstream("a", says("a"))
    rig.route("shop.havre.test", "a")
    assert rig.ask("shop.havre.test").text == "a"
    rig.force_https("shop.havre.test")
    answer = rig.ask("shop.havre.test", "/x?y")
    assert answer.status == 301
    assert answer.headers["location"] == f"https://shop.havre.test:{rig.settings.https_port}/x?y"
    assert rig.ask("shop.havre.test", secure=True).text == "a"


def test_the_control_plane_has_no_plain_http(rig: CaddyRig) -> None:
    answer = rig.ask("localhost", "/v2/self")
    assert (answer.status, answer.headers["location"]) == (308, f"https://localhost:{rig.settings.https_port}/v2/self")


# when nobody is there


def test_a_known_app_where_nobody_listens_is_503_at_once_when_it_is_known_to_be_down(rig: CaddyRig) -> None:
    rig.route("gone.havre.test", "nobody")
    waited = rig.ask("gone.havre.test")
    upstream = rig.upstream("back", says("back"))
    rig.route("gone.havre.test", "back")
    (rig.run / "flags" / "down" / "gone.havre.test.sock").touch()
    at_once = rig.ask("gone.havre.test", Accept="application/json")
    assert waited.status == at_once.status == 503
    assert waited.headers["retry-after"] == "5"
    assert "not running" in waited.text and json.loads(at_once.text)["type"] == "error"
    assert upstream.seen == []


def test_a_request_waits_for_an_app_that_comes_back() -> None:
    with running_rig(dial_for_s=15.0) as rig:
        rig.route("shop.havre.test", "late")
        starting = threading.Timer(0.4, lambda: rig.upstream("late", says("late")))
        starting.start()
        answer = rig.ask("shop.havre.test", method="POST", body=b"x" * 200_000)
        starting.join()
        assert (answer.status, answer.text) == (200, "late")
        assert rig.upstreams[-1].seen[0][2] == b"x" * 200_000


def test_a_request_that_kills_its_instance_is_not_sent_again(rig: CaddyRig) -> None:
    def die(handler: Any) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    upstream = rig.upstream("fragile", die)
    rig.route("shop.havre.test", "fragile")
    assert rig.ask("shop.havre.test").status == 502
    assert len(upstream.seen) == 1
    text = until(lambda: _lines_with(rig, '"status":502'), what="a line in the access log")
    assert "EOF" in json.loads(text[0])["error"], "why stands beside it"


def test_an_app_that_never_answers_is_a_504() -> None:
    with running_rig(answer_within_s=0.2) as rig:
        release = threading.Event()
        rig.upstream("slow", lambda _: release.wait(20) and None)
        rig.route("shop.havre.test", "slow")
        assert rig.ask("shop.havre.test").status == 504
        release.set()


def test_without_its_control_plane_the_edge_says_so_and_serves_apps() -> None:
    with running_rig(dial_for_s=0.2) as rig:
        rig.upstream("a", says("a"))
        rig.route("shop.havre.test", "a")
        rig.route("www.new.test", "a")
        answer = rig.ask("localhost", "/v2/self", secure=True)
        assert answer.status == 503
        assert json.loads(answer.text) == {
            "id": 5000, "message": "the control plane is restarting; apps keep running", "type": "error",
        }  # fmt: skip
        assert rig.ask("shop.havre.test", secure=True).text == "a"
        assert rig.ask("www.new.test", secure=True).text == "a"  # even a new certificate


def test_a_restart_of_the_control_plane_is_not_seen() -> None:
    """Neither by who asks while nobody listens, nor by who was being answered when it was killed."""
    with running_rig(dial_for_s=15.0) as rig:

        def die(handler: Any) -> None:
            first.server_close()
            (rig.run / "api.sock").unlink()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            starting.start()

        first = Upstream(rig.run / "api.sock", die)
        starting = threading.Timer(0.3, lambda: rig.upstreams.append(Upstream(rig.run / "api.sock", says("back"))))
        assert rig.ask("localhost", "/v2/self", secure=True).text == "back"
        starting.join()
        first.shutdown()
