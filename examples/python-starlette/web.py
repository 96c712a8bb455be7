"""A Starlette app, its packages named by Poetry's lock file, served by Uvicorn or Daphne."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def home(request: Request) -> PlainTextResponse:
    return PlainTextResponse("Hello from Starlette\n")


app = Starlette(routes=[Route("/", home)])
