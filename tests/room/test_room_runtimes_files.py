"""How files are served: by a site of files alone, and beside an app that has a front."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.room.build_rig import BuildRig, open_rig, places

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
LONG = "tide " * 500
SITE = {
    "site/index.html": "home", "site/about.html": "about", "site/tide/index.html": "tide", "site/404.html": "lost",
    "site/.env": "SECRET", "site/.well-known/acme": "proof", "site/long.txt": LONG,
}  # fmt: skip
APP = f"def app(environ, start):\n    start('200 OK', [('Content-Type', 'text/plain')])\n    return [b'{LONG}']\n"


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


def parts(answer: str) -> tuple[int, str, str]:
    """Status, head, body."""
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head.lower(), body


async def test_a_site_answers_with_its_pages_and_with_none_of_its_secrets(rig: BuildRig) -> None:
    built = await rig.build(SITE, "static", {"CC_WEBROOT": "/site"})
    async with rig.instance(built) as started:
        for path, status, body in (
            ("/", 200, "home"), ("/about", 200, "about"), ("/tide/", 200, "tide"), ("/nowhere", 404, "lost"),
            ("/.env", 404, "lost"), ("/.well-known/acme", 200, "proof"), ("/../site/.env", 404, "lost"),
        ):  # fmt: skip
            assert parts(await started.answer(path))[::2] == (status, body), path
        status, head, _ = parts(await started.answer("/tide"))
        assert status in (307, 308) and "location: /tide/" in head
        assert "content-encoding: gzip" in parts(await started.answer("/long.txt", accept="gzip"))[1]


async def test_a_page_that_is_not_there_is_the_single_page_apps(rig: BuildRig) -> None:
    env = {"CC_WEBROOT": "/site", "SERVER_FALLBACK_PAGE": "./site/index.html", "SERVER_ERROR_PAGE_404": "about.html"}
    built = await rig.build(SITE, "static", env)
    async with rig.instance(built) as started:
        assert parts(await started.answer("/orders/7"))[::2] == (200, "home")
        assert parts(await started.answer("/.env"))[::2] == (404, "about")


async def test_a_caddyfile_of_the_app_is_obeyed(rig: BuildRig) -> None:
    config = '{\n  admin off\n}\n:{$PORT} {\n  respond "own"\n}\n'
    built = await rig.build({"Caddyfile": config}, "static")
    async with rig.instance(built) as started:
        assert parts(await started.answer("/"))[2] == "own"


async def test_a_front_compresses_and_serves_files_of_its_folder_alone(rig: BuildRig) -> None:
    env = {"CC_PYTHON_MODULE": "main:app", "STATIC_FILES_PATH": "files", "STATIC_URL_PREFIX": "/static"}
    tree = {"requirements.txt": "", "main.py": APP, "files/a.txt": "a", "secret.txt": "SECRET"}
    built = await rig.build(tree, "python", env | {"ENABLE_GZIP_COMPRESSION": "true"})
    assert built.exit.is_success, built.said
    async with rig.instance(built) as started:
        assert parts(await started.answer("/static/a.txt"))[::2] == (200, "a")
        assert "SECRET" not in await started.answer("/static/../secret.txt")
        assert "content-encoding: gzip" in parts(await started.answer("/", accept="gzip"))[1]
        assert "content-encoding" not in parts(await started.answer("/"))[1]
