"""git over HTTPS: `/git/{app id}.git/…`, HTTP Basic with the token and its secret."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from havre.api import errors
from havre.api.context import basic_actor_of, context
from havre.base.errors import DeniedError, HavreError, NotFoundError
from havre.governance import Right

REALM = {"www-authenticate": 'Basic realm="Havre"'}
SERVICES = {"git-upload-pack", "git-receive-pack"}


class GitDoor:
    """An ASGI application: bodies are streamed both ways, which a framework's response object cannot."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        started = False

        async def start(status: int, headers: list[tuple[str, str]]) -> None:
            nonlocal started
            started = True
            packed = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            await send({"type": "http.response.start", "status": status, "headers": packed})

        async def send_part(part: bytes) -> None:
            await send({"type": "http.response.body", "body": part, "more_body": True})

        try:
            await self._answer(request, start, send_part)
        except HavreError as error:
            if not started:
                status, _ = errors.status_of(error)
                headers = REALM if status == 401 else {}
                if error.facts.get("retry_after_s") is not None:
                    status, headers = 429, {"retry-after": str(error.facts["retry_after_s"])}
                await PlainTextResponse(error.message + "\n", status, headers)(scope, receive, send)
                return
        if started:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answer(self, request: Request, start: object, send_part: object) -> None:
        ctx = context(request)
        repository, _, rest = request.path_params["path"].partition("/")
        rest = "/" + rest
        service = request.query_params.get("service", "") if rest == "/info/refs" else rest.removeprefix("/")
        actor = await basic_actor_of(ctx, request.headers.get("authorization", ""))
        if service not in SERVICES or request.method not in ("GET", "POST"):
            raise NotFoundError("there is no such page; this is a git repository")
        right = Right.WRITE if service == "git-receive-pack" else Right.LOOK_INSIDE
        app = await ctx.apps.repositories.find(actor, repository.removesuffix(".git"), right)
        if not repository.endswith(".git"):
            raise DeniedError("the address of a repository ends in .git")
        if rest == "/git-receive-pack":
            ctx.limits.pushes.take(app.id, what="pushes to this application")
        cgi = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": rest,
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REMOTE_USER": actor.user_id,
        }
        body: AsyncIterator[bytes] = _body(request)
        await ctx.apps.repositories.answer(
            actor=actor,
            app=app,
            request=cgi,
            body=body,
            start=start,  # type: ignore[arg-type]
            send=send_part,  # type: ignore[arg-type]
        )


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for part in request.stream():
        if part:
            yield part
