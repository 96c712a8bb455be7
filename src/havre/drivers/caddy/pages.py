"""What a visitor reads when no app can answer: small pages, and the same as JSON for programs.

No page depends on anything that a visitor sends, so there is nothing to escape.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_STYLE = (
    "body{font:17px/1.5 system-ui,sans-serif;color:#1d2330;background:#f6f7f9;display:grid;place-items:center;"
    "min-height:96vh;margin:0}main{max-width:32rem;padding:2rem}h1{font-size:1.5rem;margin:0 0 .5rem}"
    "p{margin:0;color:#4c566a}@media(prefers-color-scheme:dark){body{color:#eceff4;background:#171b22}p{color:#a9b4c6}}"
)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the edge itself. `id` is the `id` of its JSON form."""

    status: int
    id: int
    title: str
    text: str
    retry_after_s: int | None = None

    def html(self) -> str:
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{self.title}</title><style>{_STYLE}</style>"
            f"<main><h1>{self.title}</h1><p>{self.text}</p></main></html>\n"
        )

    def json(self) -> str:
        return json.dumps({"id": self.id, "message": self.text, "type": "error"}) + "\n"


UNKNOWN = Page(404, 4004, "There is no application here", "No application has this name.")
DOWN = Page(
    503, 5003, "The application is not running", "It is stopped or starting. Try again in a moment.", retry_after_s=5
)
FAILED = Page(502, 5002, "The application did not answer", "It closed the connection before it had answered.")
SLOW = Page(504, 5004, "The application took too long", "It accepted the request and did not answer in time.")
BAD_HOST = Page(400, 4000, "This host name is invalid", "The request names no host that could be an application.")
RESTARTING = Page(
    503, 5000, "The control plane is restarting", "the control plane is restarting; apps keep running", retry_after_s=2
)


def answer_json(page: Page) -> dict[str, Any]:
    """A Caddy handler that answers `page` as JSON."""
    return _static(page, "application/json; charset=utf-8", page.json())


def answer_html(page: Page) -> dict[str, Any]:
    """A Caddy handler that answers `page` as HTML."""
    return _static(page, "text/html; charset=utf-8", page.html())


def answer(page: Page) -> list[dict[str, Any]]:
    """Caddy routes that answer `page` in the form that the request asks for."""
    wants_json = {"header": {"Accept": ["application/json*", "*application/json*"]}}
    return [
        {"match": [wants_json], "handle": [answer_json(page)], "terminal": True},
        {"handle": [answer_html(page)], "terminal": True},
    ]


def _static(page: Page, kind: str, body: str) -> dict[str, Any]:
    headers = {"Content-Type": [kind], "Cache-Control": ["no-store"], "Vary": ["Accept"]}
    if page.retry_after_s is not None:
        headers["Retry-After"] = [str(page.retry_after_s)]
    return {"handler": "static_response", "status_code": page.status, "headers": headers, "body": body}
