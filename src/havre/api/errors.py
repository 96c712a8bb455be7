"""Errors as HTTP answers: the one table of status codes, in the contract's shape."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from havre.api.context import context, record
from havre.base.errors import (
    BrokenError,
    ConflictError,
    DeniedError,
    ExhaustedError,
    HavreError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from havre.kernel.store import Tx

log = structlog.get_logger()
TABLE: dict[type[HavreError], tuple[int, int]] = {
    InvalidError: (400, 4000),
    DeniedError: (403, 4003),
    NotFoundError: (404, 4004),
    ConflictError: (409, 4009),
    ExhaustedError: (413, 4013),
    UnavailableError: (503, 5003),
    BrokenError: (500, 5000),
}
NO_FAVOURITE = 4021


def body(id: int, message: str) -> dict[str, Any]:
    return {"id": id, "message": message, "type": "error"}


def status_of(error: HavreError) -> tuple[int, int]:
    """The HTTP status and the contract's number."""
    if isinstance(error, DeniedError) and error.anonymous:
        return 401, 2001
    return TABLE.get(type(error), (500, 5000))


def answer(error: HavreError) -> JSONResponse:
    status, id = status_of(error)
    status = int(str(error.facts.get("status") or status)) if isinstance(error, InvalidError) else status
    headers = {}
    if error.facts.get("retry_after_s") is not None:
        status, headers["retry-after"] = 429, str(error.facts["retry_after_s"])
    if error.facts.get("id") is not None:
        id = int(str(error.facts["id"]))
    if status >= 500:
        log.warning("api.request.failed", status=status, error=error.message, exc_info=error)
    content = body(id, error.message)
    if error.facts.get("code") is not None:
        content["code"] = str(error.facts["code"])  # what the bridge's clients look at
    return JSONResponse(content, status_code=status, headers=headers)


async def note_denied(request: Request, error: HavreError) -> None:
    """A refused write of somebody known stands in the audit of the organisation that it was tried on."""
    actor = getattr(request.state, "actor", None)
    owner_id = error.facts.get("owner_id")
    if request.method == "GET" or actor is None or owner_id is None or not isinstance(error, DeniedError):
        return
    path = getattr(request.scope.get("route"), "path", request.url.path)
    facts: dict[str, Any] = {"owner_id": owner_id, "action": f"{request.method} {path}"[-80:], "result": "denied"}

    def work(tx: Tx) -> None:
        record(tx, actor, **facts, subject=request.url.path, request=request)

    await context(request).write(work)


def install(app: FastAPI) -> None:
    """Every way a request can fail answers in the contract's shape, and none shows our insides."""

    @app.exception_handler(HavreError)
    async def ours(request: Request, error: HavreError) -> JSONResponse:
        await note_denied(request, error)
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body",)) or "the body"
        return JSONResponse(body(4000, f"{where}: {first['msg']}"), status_code=400)

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(body(4040, str(error.detail)), status_code=error.status_code)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        log.error("api.request.broke", path=request.url.path, exc_info=error)
        return JSONResponse(body(5000, "an internal error happened; it was logged"), status_code=500)
