"""The conformance suite of the runtimes: one row for each example app, each built and started in the real sandbox.

A row of a kind of app stands in that kind's tuple below. What every row must pass is `conforms`: detected, built,
answering what it says it answers on port 8080, and gone on SIGTERM within its grace.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from havre.drivers.toolchains import GO_VERSION
from tests.room.build_rig import BuildRig, Built

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GRACE_S = 10


@dataclass(frozen=True)
class Row:
    """An example and what it answers.

    example: a folder below `examples/`. runtime: the slug that `clever create -t` takes. way: what tells its rows
    apart. answers: for each path, a text that the body of a 200 holds. plan: the runtime that the plan names, where it
    is not the slug. said: texts that the build log holds. heavy: too long for every run (`make soak`).
    """

    example: str
    runtime: str
    answers: Mapping[str, str]
    env: Mapping[str, str] = field(default_factory=dict)
    way: str = ""
    plan: str = ""
    said: Sequence[str] = ()
    heavy: bool = False

    def __str__(self) -> str:
        return f"{self.example} {self.way}".strip()


DJANGO = {
    "CC_PYTHON_MODULE": "shop.wsgi", "CC_PYTHON_MANAGE_TASKS": "migrate, collectstatic --noinput",
    "STATIC_FILES_PATH": "static", "STATIC_URL_PREFIX": "/static", "CC_PYTHON_CELERY_MODULE": "shop.celery",
}  # fmt: skip
DJANGO_ANSWERS = {"/": "a lantern", "/static/style.css": "sans-serif", "/sum/2/3": "2 + 3 = 5"}  # the worker's
UV_RUN = {"CC_PYTHON_UV_RUN_COMMAND": "uvicorn main:app --host 0.0.0.0 --port 8080"}
GEVENT = {"CC_PYTHON_MODULE": "app:app", "CC_PYTHON_USE_GEVENT": "true"}
STARLETTE = {"CC_PYTHON_MODULE": "web:app"}
UVICORN, DAPHNE = {"CC_PYTHON_BACKEND": "uvicorn"}, {"CC_PYTHON_BACKEND": "daphne"}
PHP = {"CC_WEBROOT": "/public", "CC_PHP_VERSION": "8", "MEMORY_LIMIT": "64M"}
SETTINGS = '{"memory_limit":"64M","precision":"9","type":"production"}'
PHP_FPM = {"/": "by fpm-fcgi", "/ships": "Heron, Kelp", "/settings": SETTINGS}
PHP_MODULE = PHP_FPM | {"/": "by apache2handler"}
RUBY = {"CC_RAKEGOALS": "tide", "STATIC_FILES_PATH": "public", "STATIC_URL_PREFIX": "/public"}
RUBY_ANSWERS = {
    "/": "Hello from Sinatra", "/ships": "Heron, Kelp", "/public/style.css": "sans-serif", "/public/tide.txt": "high",
}  # fmt: skip

WEB = (
    Row("node-hello", "node", {"/": "Hello from shop v24."}),
    Row("node-express", "node", {"/": "on v22.", "/visitor/ada": '{"hello":"ada"}'}, said=["yarn install"]),
    Row("node-fastify", "node", {"/": '{"hello":"Fastify","node":"v24.'}, said=["pnpm install"], heavy=True),
    Row("python-hello", "python", {"/": "Hello from shop"}, {"CC_PYTHON_MODULE": "app:app"}, "uwsgi", said=["pyuwsgi"]),
    Row(
        "python-hello",
        "python",
        {"/": "Hello"},
        {"CC_PYTHON_MODULE": "app:app", "CC_PYTHON_BACKEND": "gunicorn"},
        "gunicorn",
    ),
    Row("python-hello", "python", {"/": "Hello"}, GEVENT, "uwsgi gevent", heavy=True),
    Row("python-hello", "python", {"/": "Hello"}, GEVENT | {"CC_PYTHON_BACKEND": "gunicorn"}, "gevent", heavy=True),
    Row("python-django", "python", DJANGO_ANSWERS, DJANGO, heavy=True),
    Row("python-fastapi", "python", {"/": '{"hello":"FastAPI"}'}, UV_RUN, said=["uv sync"]),
    Row("python-starlette", "python", {"/": "Starlette"}, STARLETTE | UVICORN, "uvicorn", heavy=True),
    Row(
        "python-starlette",
        "python",
        {"/": "Starlette"},
        STARLETTE | {"CC_PYTHON_BACKEND": "daphne"},
        "daphne",
        heavy=True,
    ),
    Row("static-site", "static", {"/": "<h1>", "/index.html": "<h1>"}),
    Row("static-site", "static", {"/": "<h1>"}, {"CC_STATIC_SERVER": "caddy"}, "caddy"),
    Row("static-hugo", "static", {"/": "Ships come in", "/tide/": "High at noon"}, said=["hugo took"]),
    Row("static-mkdocs", "static", {"/": "Ships come in", "/tide/": "High at noon"}, said=["mkdocs build took"]),
    Row("static-vitepress", "static", {"/": "Ships come in", "/tide": "High at noon"}, heavy=True),
    Row("static-mdbook", "static", {"/": "Ships come in", "/tide.html": "High at noon"}, heavy=True),
    Row("static-nuxt", "static", {"/": "Ships come in"}, heavy=True),
    Row("static-docusaurus", "static", {"/": "Ships come in"}, heavy=True),
    Row("static-storybook", "static", {"/": "<html", "/index.json": "lantern--lit"}, heavy=True),
    Row("static-astro", "static", {"/": "high at noon"}, heavy=True),
    Row("static-apache-site", "static-apache", {"/": "Ships", "/harbour": "Ships"}, {"CC_WEBROOT": "/site"}),
    Row("ruby-rails", "ruby", {"/": "Heron, Kelp"}, heavy=True),
    Row("php-slim", "php", PHP_FPM, PHP, "fpm", said=["composer install took", "PHP 8"]),
    Row("ruby-sinatra", "ruby", RUBY_ANSWERS, RUBY, said=["bundle install took", "rake tide took"]),
    Row(
        "ruby-sinatra",
        "ruby",
        {"/ships": "Heron"},
        {"CC_PUMA_THREADS": "2", "CC_PUMA_WORKERS": "2"},
        "puma workers",
        heavy=True,
    ),
    Row("php-slim", "php", PHP_MODULE, PHP | {"CC_CGI_IMPLEMENTATION": "mod_php"}, "mod_php", heavy=True),
    Row("bun-hono", "node", {"/": "Hello from Hono on Bun 1.", "/people/ada": '{"hello":"ada"}'}, plan="bun"),
    Row("vinext", "node", {"/": "<html"}, plan="bun", heavy=True),
)

JAR = {"CC_PRE_BUILD_HOOK": "sh make-jar.sh", "CC_JAR_PATH": "hello.jar"}
ARGUED = JAR | {"CC_EXTRA_JAVA_ARGS": "'-Xmx99m' -Dgreeting='a b'", "CC_JAR_ARGS": "Bonjour 'tout  le monde'"}

JVM = (
    Row("jar-hello", "jar", {"/": "Hello from shop on Java 17, heap 593 MiB"}, JAR, "17"),
    Row(
        "jar-hello",
        "jar",
        {"/": "Bonjour tout  le monde from shop on Java 21, heap 9"},
        ARGUED | {"CC_JAVA_VERSION": "21"},
        "21 with arguments",
        heavy=True,
    ),
    Row(
        "maven-spring-boot",
        "maven",
        {"/": "Hello from Spring Boot on Java 17", "/people/ada": '{"name":"ada"}'},
        said=["starts target/hello-1.0.jar"],
        heavy=True,
    ),
    Row(
        "maven-spring-boot",
        "maven",
        {"/": "HELLO from Spring Boot on Java 25"},
        {"CC_JAVA_VERSION": "25", "CC_MAVEN_PROFILES": "loud", "MAVEN_DEPLOY_GOAL": "spring-boot:run"},
        "25",
        heavy=True,
    ),
    Row("war-jsp", "war", {"/": "Apache Tomcat/10.1", "/again/count": "request number"}, heavy=True),
    Row(
        "gradle-nanohttpd",
        "gradle",
        {"/x": "Hello from NanoHTTPD, /x"},
        {"GRADLE_DEPLOY_GOAL": "run"},
        said=["installDist"],
        heavy=True,
    ),
    Row(
        "play-hello",
        "play2",
        {"/": '{"hello":"Play"}', "/people/ada": '{"hello":"ada"}'},
        {"APPLICATION_SECRET": "a-secret-of-at-least-thirty-two-bytes"},
        heavy=True,
    ),
    Row("sbt-hello", "sbt", {"/x": '{"hello":"Scala","path":"/x"}'}, heavy=True),
)

# a minute, once in the life of an environment, until Go is fetched and its library compiled
GO_IS_THERE = (Path(sys.prefix) / "share" / "havre" / "toolchains" / f"go-{GO_VERSION}").is_dir()

NATIVE = (
    Row("docker-hello", "docker", {"/": "Hello from shop, user 33"}, said=("FROM python:3.11",), heavy=True),
    Row("linux-make", "linux", {"/": "Hello from shop in C"}, said=("make build took",)),
    Row("linux-mise", "linux", {"/": "Hello from mise"}, said=("mise run build took",)),
    Row(
        "linux-mise",
        "linux",
        {"/": "Hello by hand"},
        {
            "CC_BUILD_COMMAND": "mkdir public && echo Hello by hand > public/index.html",
            "CC_RUN_COMMAND": "cd public && exec python3 -m http.server $PORT",
        },
        "by hand",
    ),
    Row("elixir-hello", "elixir", {"/": "Hello from shop, Elixir 1."}, heavy=True),
    Row(
        "elixir-hello",
        "elixir",
        {"/": "Hello from shop, Elixir 1."},
        {"CC_MIX_BUILD_GOAL": "release"},
        "release",
        heavy=True,
    ),
    Row("haskell-hello", "haskell", {"/": "Hello from shop with Scotty"}, heavy=True),
    Row("haskell-plain", "haskell", {"/": "plain ghc"}, {"HAVRE_PACKAGES": "libghc-network-dev"}, heavy=True),
    Row(
        "go-chi",
        "go",
        {"/": f"Hello from shop, go{GO_VERSION}, memory limit 921MiB", "/people/ada": "Hello ada"},
        heavy=not GO_IS_THERE,
    ),
    Row("rust-axum", "rust", {"/": "HELLO from shop"}, {"CC_RUST_FEATURES": "loud"}, heavy=True),
)

ROWS = (*WEB, *JVM, *NATIVE)


# what goes through the command line in every run (tests/system/test_system_kinds.py), beside the Node apps and the
# static sites of the other trials there
QUICK = (
    "bun-hono",
    "python-hello gunicorn",
    "php-slim fpm",
    "ruby-sinatra",
    "jar-hello 17",
)


def params(rows: Sequence[Row] = ROWS) -> list[Any]:
    """The rows for `pytest.mark.parametrize`, the heavy ones marked."""
    return [pytest.param(row, id=str(row), marks=[pytest.mark.soak] if row.heavy else []) for row in rows]


async def conforms(rig: BuildRig, row: Row) -> Built:
    """Take `row` through detect, build and an instance; what was built, for further questions."""
    built = await rig.build(EXAMPLES / row.example, row.runtime, row.env, limit_s=900 if row.heavy else 240)
    assert built.plan.runtime == (row.plan or row.runtime)
    assert built.exit.is_success, built.said
    for text in row.said:
        assert text in built.said, f"{text!r} is not in the build log:\n{built.said}"
    async with rig.instance(built) as started:
        for path, text in row.answers.items():
            answer = await started.answer(path)
            head, _, body = answer.partition("\r\n\r\n")
            assert " 200 " in head.splitlines()[0], f"{path}: {answer}\n{started.said()}"
            assert text in body, f"{path}: {answer}\n{started.said()}"
        ended = await started.stop(grace_s=GRACE_S)
        assert ended.signal != 9, f"SIGTERM did not end it within {GRACE_S} s\n{started.said()}"
    return built
