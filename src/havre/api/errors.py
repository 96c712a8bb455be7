"""Errors as HTTP answers: the one table of status codes, in the contract's shape."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

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
    if error.facts.get("id") is not None:
        id = int(str(error.facts["id"]))
    if status >= 500:
        log.warning("api.request.failed", status=status, error=error.message, exc_info=error)
    return JSONResponse(body(id, error.message), status_code=status)


def install(app: FastAPI) -> None:
    """Every way a request can fail answers in the contract's shape, and none shows our insides."""

    @app.exception_handler(HavreError)
    async def ours(_: Request, error: HavreError) -> JSONResponse:
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
