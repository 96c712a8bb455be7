"""A person at a browser, as far as the platform's own pages go: forms are read and sent as a browser would."""

from __future__ import annotations

import json
import re
import ssl
from email import message_from_bytes
from email.policy import default
from html import unescape
from typing import Any

import httpx
from aiosmtpd.controller import Controller

from tests.ports import free_ports
from tests.system.rig import Installation


def credentials(havre: Installation) -> dict[str, str]:
    found = json.loads((havre.data / "credentials.json").read_text())
    return {"email": found["email"], "password": found["password"]}


class Mailbox:
    """A real mail server on loopback, and what it was given: (recipient, text)."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self._port = free_ports(1)[0]
        self._server = Controller(self, hostname="127.0.0.1", port=self._port, ready_timeout=60)
        self._server.start()

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        letter = message_from_bytes(envelope.content, policy=default)
        body = letter.get_body()
        text = f"{letter['subject']}\n\n{body.get_content() if body is not None else ''}"
        self.messages += [(to, text) for to in envelope.rcpt_tos]
        return "250 OK"

    @property
    def settings(self) -> dict[str, Any]:
        """The `[mail]` table that leads here."""
        return {"host": "127.0.0.1", "port": self._port, "tls": "no"}

    def close(self) -> None:
        self._server.stop()

    def text_to(self, address: str) -> str:
        return next((text for to, text in reversed(self.messages) if to == address), "")

    def link_to(self, address: str) -> str:
        found = re.search(r"https://\S+proof=\S+", self.text_to(address))
        return found[0] if found else ""


class Browser:
    """Keeps cookies, follows redirects on the platform's origin."""

    def __init__(self, havre: Installation) -> None:
        self._client = httpx.Client(verify=_tls(havre), follow_redirects=True, trust_env=False, timeout=60)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: Any) -> None:
        self._client.close()

    def open(self, url: str) -> httpx.Response:
        return self._client.get(url)

    def fill(self, page: httpx.Response, **values: str) -> httpx.Response:
        """Send the page's form with `values` beside what is hidden in it."""
        to, content = self._form(page)
        return self._client.post(to, data=content | values)

    def _form(self, page: httpx.Response) -> tuple[httpx.URL, dict[str, str]]:
        form = re.search(r'<form method="post" action="([^"]*)"', page.text)
        assert form is not None, page.text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        content = {name: unescape(value) for name, value in hidden.items()}
        return page.url.join(unescape(form[1])), content

    def leave(self, page: httpx.Response) -> str:
        """Send the page's form; returns the address of another site that it leads to."""
        request = self._form(page)
        answer = self._client.post(request[0], data=request[1], follow_redirects=False)
        return str(answer.headers["location"])

    def allow_cli(self, url: str, *, email: str, password: str) -> httpx.Response:
        page = self.fill(self.open(url), email=email, password=password)
        assert page.status_code == 200, page.text
        return page

    def confirm(self, link: str) -> httpx.Response:
        page = self.open(link)
        assert page.status_code == 200, page.text
        return page


def _tls(havre: Installation) -> ssl.SSLContext:
    return havre.tls()
