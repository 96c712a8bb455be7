"""Webhooks, e-mails and drains are delivered for real: to an HTTP server, a mail server, a syslog server on loopback."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from havre import observe
from havre.observe.model import LogSource
from tests.room.api_rig import ApiRig, api_rig
from tests.system.browser import Mailbox
from tests.system.cli_bench import Sink

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rig(tmp_path: Path, mail: Mailbox) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path, mail=mail.settings) as made:
        await deliver(made)  # what happened before is nobody's
        made.clock.at += 1000
        yield made


@pytest.fixture
def mail() -> Any:
    box = Mailbox()
    yield box
    box.close()


@pytest.fixture
def sink() -> Any:
    made = Sink()
    yield made
    made.close()


async def deliver(rig: ApiRig) -> None:
    room = next(each for each in rig.rooms if each.name == "notifications")
    await room.reconcilers[0].run()


async def hook(rig: ApiRig, url: str, format: str = "raw", **body: Any) -> str:
    path = f"/v2/notifications/webhooks/{rig.operator.space}"
    found: str = (await rig.operator.do("POST", path, {"urls": [{"format": format, "url": url}], **body}))["id"]
    return found


async def log_of(rig: ApiRig, id: str) -> list[dict[str, Any]]:
    path = f"/v2/notifications/webhooks/{rig.operator.space}/{id}/deliveries"
    found: list[dict[str, Any]] = await rig.operator.get(path)
    return found


async def test_a_webhook_is_told_once_in_the_form_of_the_events_socket(rig: ApiRig, sink: Sink) -> None:
    id = await hook(rig, f"{sink.url}/hook", events=None, scope=None)
    app = await rig.create_app(rig.operator, "self", "shop")
    await deliver(rig)
    await deliver(rig)
    ((path, _, body),) = sink.got
    said = json.loads(body)
    assert (path, said["event"], json.loads(said["data"])["appId"]) == ("/hook", "APPLICATION_CREATION", app)
    (entry,) = await log_of(rig, id)
    assert (entry["state"], entry["tries"]) == ("SENT", 1)


@pytest.mark.parametrize(("format", "field"), [("slack", "text"), ("gitter", "message"), ("flowdock", "title")])
async def test_a_webhook_speaks_its_format(rig: ApiRig, sink: Sink, format: str, field: str) -> None:
    await hook(rig, sink.url, format)
    await rig.create_app(rig.operator, "self", "shop")
    await deliver(rig)
    assert "shop: application creation" in json.loads(sink.got[0][2])[field]


async def test_a_hook_hears_only_its_events_of_its_services_in_its_organisation(rig: ApiRig, sink: Sink) -> None:
    quiet = await rig.create_app(rig.operator, "self", "quiet")
    loud = await rig.create_app(rig.operator, "self", "loud")
    await deliver(rig)
    await hook(rig, sink.url, scope=[loud], events=["META_SERVICE_LIFECYCLE"])
    rig.clock.at += 1000
    for app in (quiet, loud):
        await rig.operator.do("PUT", f"/v2/self/applications/{app}", {"description": "changed"})
    other = await rig.person("other")
    await rig.create_app(other, "self", "theirs")
    await deliver(rig)
    assert [json.loads(json.loads(body)["data"])["appId"] for _, _, body in sink.got] == [loud]


async def test_a_target_that_fails_is_tried_again_later_and_in_the_end_given_up(rig: ApiRig, sink: Sink) -> None:
    sink.answers = 503
    id = await hook(rig, sink.url)
    await rig.create_app(rig.operator, "self")
    await deliver(rig)
    await deliver(rig)
    (entry,) = await log_of(rig, id)
    assert (entry["state"], entry["tries"]) == ("WAITING", 1) and "answered 503" in entry["error"]
    for _ in range(20):
        rig.clock.at += 3_600_000
        await deliver(rig)
    (entry,) = await log_of(rig, id)
    assert (entry["state"], entry["tries"]) == ("FAILED", 12)
    (listed,) = await rig.operator.get(f"/v2/notifications/webhooks/{rig.operator.space}")
    assert listed["failures"] == 1


async def test_a_target_that_comes_back_gets_what_it_missed(rig: ApiRig, sink: Sink) -> None:
    sink.answers = 500
    await hook(rig, sink.url)
    await rig.create_app(rig.operator, "self")
    await deliver(rig)
    sink.answers = 200
    rig.clock.at += 5000
    await deliver(rig)
    assert len(sink.got) == 2


async def test_an_email_reaches_everybody_named_once(rig: ApiRig, mail: Mailbox) -> None:
    path = f"/v2/notifications/emailhooks/{rig.operator.space}"
    notified = [{"type": "organisation"}, {"type": "userid", "target": rig.operator.id},
                {"type": "email", "target": "team@example.test"}]  # fmt: skip
    await rig.operator.do("POST", path, {"name": "post", "notified": notified})
    await rig.create_app(rig.operator, "self", "shop")
    await deliver(rig)
    assert sorted(to for to, _ in mail.messages) == ["operator@example.test", "team@example.test"]
    assert "shop: application creation" in mail.text_to("team@example.test")


@pytest.mark.parametrize("url", ["ftp://x.example.test", "http://", "x", "https://" + "x" * 3000])
async def test_what_is_no_url_is_refused(rig: ApiRig, url: str) -> None:
    path = f"/v2/notifications/webhooks/{rig.operator.space}"
    assert (await rig.operator.call("POST", path, {"urls": [{"format": "raw", "url": url}]})).status_code == 400
    assert (await rig.operator.call("POST", path, {"urls": []})).status_code == 400
    body = {"urls": [{"url": "https://x.example.test"}], "events": ["NOTHING"]}
    assert (await rig.operator.call("POST", path, body)).status_code == 400


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]"]
)
async def test_an_installation_that_faces_the_network_sends_nothing_to_itself(
    tmp_path: Path, sink: Sink, host: str
) -> None:
    async with api_rig(tmp_path, outbound={"loopback": "no"}) as rig:
        await deliver(rig)
        id = await hook(rig, sink.url.replace("127.0.0.1", host))
        await rig.create_app(rig.operator, "self")
        await deliver(rig)
        (entry,) = await log_of(rig, id)
        assert sink.got == [] and "of the platform itself" in entry["error"]


# drains


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path, ticks=True) as made:
        yield made


@asynccontextmanager
async def logging(rig: ApiRig, app: str, place: Path) -> AsyncIterator[Any]:
    """The loops of the logs run, and what is given to the function is what the app prints."""
    file = place / "app.log"
    file.touch()
    source = LogSource(id="source", app_id=app, owner_id=rig.operator.space, path=file, instance_id="an-instance")
    await rig.write(lambda tx: observe.add_source(tx, source))

    def say(*lines: str) -> None:
        with open(file, "a") as out:
            out.write("".join(f"{line}\n" for line in lines))

    async with anyio.create_task_group() as group:
        room = next(each for each in rig.rooms if each.name == "observe")
        for loop in room.loops:
            if loop.name != "observe.access":
                group.start_soon(loop.run)
        yield say
        group.cancel_scope.cancel()


async def until(claim: Any, what: str) -> None:
    with anyio.move_on_after(20):
        while not claim():
            await anyio.sleep(0.02)
        return
    raise AssertionError(f"never happened: {what}")


async def drain(rig: ApiRig, app: str, **recipient: Any) -> str:
    path = f"/v4/drains/organisations/{rig.operator.space}/resources/{app}/drains"
    return f"{path}/" + (await rig.operator.do("POST", path, {"kind": "LOG", "recipient": recipient}))["id"]


async def test_a_raw_http_drain_sends_each_line_once_and_in_order(live: ApiRig, sink: Sink, tmp_path: Path) -> None:
    rig = live
    app = await rig.create_app(rig.operator, "self")
    async with logging(rig, app, tmp_path) as say:
        path = await drain(rig, app, type="RAW_HTTP", url=f"{sink.url}/in", username="u", password="s3cret")
        say(*(f"line {number}" for number in range(1200)))
        await until(lambda: sum(body.count(b"\n") for _, _, body in sink.got) >= 1200, "all lines arrive")
        lines = b"".join(body for _, _, body in sink.got).decode().splitlines()
        assert [line.rpartition(" - - ")[2] for line in lines] == [f"line {number}" for number in range(1200)]
        assert lines[0].startswith("<14>1 ") and f" {app} bas-user an-instance " in lines[0]
        assert sink.got[0][1] == "Basic dTpzM2NyZXQ="
        shown = await rig.operator.get(path)
        assert shown["execution"]["status"] == "RUNNING" and "password" not in shown["recipient"]


async def test_a_drain_goes_on_where_its_recipient_was_when_it_failed(live: ApiRig, sink: Sink, tmp_path: Path) -> None:
    rig = live
    app = await rig.create_app(rig.operator, "self")
    async with logging(rig, app, tmp_path) as say:
        sink.answers = 500
        path = await drain(rig, app, type="RAW_HTTP", url=sink.url)
        say("missed")
        await until(lambda: len(sink.got) >= 2, "it is tried again")
        shown = await rig.operator.get(path)
        assert shown["execution"]["status"] == "RETRYING" and "500" in shown["execution"]["lastError"]
        checked = await rig.operator.do("POST", f"{path}/check")
        assert checked["ok"] is False and "500" in checked["message"]
        await rig.operator.do("PUT", f"{path}/disable")
        sink.got.clear()
        sink.answers = 200
        say("while it was off")
        await rig.operator.do("PUT", f"{path}/enable")
        await until(lambda: any(b"while it was off" in body for _, _, body in sink.got), "the rest arrives")
        assert b"missed" in sink.got[0][2]
        assert (await rig.operator.do("POST", f"{path}/check"))["ok"] is True


async def test_syslog_drains_speak_rfc_5424_over_tcp_and_udp(live: ApiRig, tmp_path: Path) -> None:
    rig = live
    app = await rig.create_app(rig.operator, "self")
    got: list[bytes] = []

    async def hear(stream: Any) -> None:
        async with stream:
            try:
                while True:
                    got.append(await stream.receive())
            except anyio.EndOfStream:
                return

    async with anyio.create_task_group() as group, logging(rig, app, tmp_path) as say:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        group.start_soon(listener.serve, hear)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        datagrams.setblocking(False)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        await drain(rig, app, type="SYSLOG_TCP", url=f"tcp://127.0.0.1:{port}")
        await drain(rig, app, type="SYSLOG_UDP", url=f"udp://127.0.0.1:{datagrams.getsockname()[1]}")
        say("héllo")
        await until(lambda: b"".join(got).endswith("héllo".encode()), "the line arrives over TCP")
        length, _, message = b"".join(got).partition(b" ")
        assert int(length) == len(message) and message.startswith(b"<14>1 ")
        with anyio.fail_after(10):
            await anyio.wait_readable(datagrams)
        assert datagrams.recv(9000) == message
        group.cancel_scope.cancel()
    await listener.aclose()
    datagrams.close()


@pytest.mark.parametrize(
    ("recipient", "holds"),
    [
        ({"type": "ELASTICSEARCH", "index": "logs", "path": "/_bulk"}, b'"_index": "logs-'),
        ({"type": "DATADOG", "path": "/v1/input/key"}, b'"status": "info"'),
        ({"type": "NEWRELIC", "apiKey": "k", "path": "/"}, b'"timestamp": '),
        ({"type": "BETTERSTACK", "sourceToken": "t", "path": "/"}, b'"dt": '),
    ],
    ids=lambda value: value.get("type", "") if isinstance(value, dict) else "",
)
async def test_a_drain_speaks_its_vendors_format(
    live: ApiRig, sink: Sink, tmp_path: Path, recipient: dict[str, str], holds: bytes
) -> None:
    rig = live
    app = await rig.create_app(rig.operator, "self")
    async with logging(rig, app, tmp_path) as say:
        await drain(rig, app, url=sink.url + recipient.pop("path"), **recipient)
        say("hello")
        await until(lambda: sink.got, "the line arrives")
    assert holds in sink.got[0][2] and b'"message": "hello"' in sink.got[0][2]


@pytest.mark.parametrize(
    "recipient",
    [{}, {"type": "X", "url": "https://x"}, {"type": "RAW_HTTP"}, {"type": "RAW_HTTP", "url": "tcp://x"},
     {"type": "SYSLOG_UDP", "url": "https://x"}, {"type": "NEWRELIC", "url": "https://x"},
     {"type": "ELASTICSEARCH", "url": "https://x/_bulk"}, {"type": "RAW_HTTP", "url": "https://x\n"}],
)  # fmt: skip
async def test_a_recipient_that_says_too_little_is_refused(rig: ApiRig, recipient: dict[str, str]) -> None:
    app = await rig.create_app(rig.operator, "self")
    path = f"/v4/drains/organisations/{rig.operator.space}/resources/{app}/drains"
    assert (await rig.operator.call("POST", path, {"recipient": recipient})).status_code == 400
