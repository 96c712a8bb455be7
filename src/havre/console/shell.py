"""The console itself: one page for every address that is its own, and the files that it is made of.

The files are built by `make setup` (console/ in the repository) and are part of the package. Their names carry the hash
of their content, so that a browser asks for each once. The page holds no credential and may load nothing from anywhere
else: the policy says so, and a test counts.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from havre.base.errors import HavreError
from havre.console import Pages

FOLDER = Path(__file__).parent / "web"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        # the one <style> of a component of the bundle, and the style attributes of charts and logs
        "style-src 'self' 'sha256-v+2biH0AwfgvzewI66dcuuMiIvHkmFCePPcVJyvhySY='",
        "style-src-attr 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
}
ADDRESSES = (
    "/organisations",
    "/organisations/{path:path}",
    "/users/me/{path:path}",
    "/installation",
    "/installation/{path:path}",
)
UNHASHED = frozenset({"theme.js", "favicon.svg", "figtree.woff2", "third-party.txt"})
MISSING = "The console's files are not there. Run make setup, or use clever."
_CODINGS = (("br", ".br"), ("gzip", ".gz"))


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    type: str
    coding: str = ""


class Files:
    """The built files, read when they are asked for first; a path leads nowhere else."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._assets = folder / "assets"
        self._kept: dict[tuple[str, str], File | None] = {}

    def index(self) -> File | None:
        return self._read(self._folder, "index.html", "")

    def asset(self, name: str, accepts: str) -> File | None:
        """The file in the coding that the browser likes best."""
        for coding, suffix in _CODINGS:
            if coding in accepts and (found := self._get(name, suffix)) is not None:
                return File(found.content, found.type, coding)
        return self._get(name, "")

    def _get(self, name: str, suffix: str) -> File | None:
        key = name, suffix
        if key not in self._kept and len(self._kept) < 2000:
            self._kept[key] = self._read(self._assets, name, suffix)
        return self._kept.get(key)

    def _read(self, folder: Path, name: str, suffix: str) -> File | None:
        path = (folder / (name + suffix)).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            return None
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        kind = "text/javascript" if name.endswith(".js") else "font/woff2" if name.endswith(".woff2") else kind
        return File(path.read_bytes(), f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)


def add(router: APIRouter, pages: Pages) -> None:
    files = Files()

    @router.get("/assets/{name:path}")
    def asset(request: Request, name: str) -> Response:
        found = files.asset(name, request.headers.get("accept-encoding", ""))
        if found is None:
            return Response(status_code=404, headers=HEADERS)
        tag = f'"{hashlib.sha256(found.content).hexdigest()[:20]}"'
        if name in UNHASHED and request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        headers = HEADERS | {"vary": "accept-encoding", "etag": tag}
        headers["cache-control"] = "no-cache" if name in UNHASHED else "public, max-age=31536000, immutable"
        if found.coding:
            headers["content-encoding"] = found.coding
        return Response(found.content, media_type=found.type, headers=headers)

    async def page(request: Request) -> Response:
        if await pages.door.visitor(request) is None:
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(wanted, safe='')}", status_code=303)
        found = files.index()
        if found is None:
            return pages.say("Not built", MISSING, status=503)
        return Response(found.content, media_type=found.type, headers=HEADERS | {"cache-control": "no-cache"})

    @router.get("/goto/{id}")
    @router.get("/users/me/applications/{id}")
    async def goto(request: Request, id: str) -> Response:
        """Where an app is, for who only knows its id."""
        if await pages.door.visitor(request) is None:
            return RedirectResponse(f"/login?next={quote(request.url.path, safe='')}", status_code=303)
        try:
            owner_id = await pages.door.owner_of(request, id)
        except HavreError:
            return pages.say("Nothing here", "There is nothing of that name that you may see.", status=404)
        return RedirectResponse(f"/organisations/{owner_id}/applications/{quote(id, safe='')}", status_code=303)

    router.add_api_route("/", page, methods=["GET"])
    for address in ADDRESSES:
        router.add_api_route(address, page, methods=["GET"])
