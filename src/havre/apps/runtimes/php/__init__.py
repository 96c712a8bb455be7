"""PHP apps: Apache before PHP-FPM, or PHP inside Apache; Composer. The page is README.md."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from havre.apps.runtimes.php.extensions import packages
from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.apps.runtimes.versions import version_check
from havre.apps.runtimes.webroot import webroot
from havre.base.errors import InvalidError

SERVERS = {"proxy_fcgi": "fpm", "fastcgi": "fpm", "mod_php": "module"}
STARTS = {
    "fpm": "with-php together serve-fpm 'serve-apache fpm'",
    "module": "with-php serve-apache module",
}
FLAGS = ("--no-interaction", "--no-progress", "--no-scripts")
VERSION = ("php", "-r", "echo PHP_VERSION;")
COMPOSER_VERSION = (
    "/bin/sh",
    "-c",
    "composer --version --no-ansi | sed -n 's/^Composer version \\([0-9.]*\\).*/\\1/p'",
)


class Php:
    slug = "php"
    type = "php"
    name = "PHP"
    variant_id = "ca6c9c85-63f8-4075-b136-583d3f581a52"
    packages: tuple[str, ...] = ("apache2-bin", "media-types", "php-cli", "php-fpm", "systemd-standalone-tmpfiles")
    programs: tuple[str, ...] = ("php", "composer", "apache2")
    variables = frozenset(
        {
            "CC_WEBROOT", "CC_PHP_VERSION", "CC_COMPOSER_VERSION", "CC_PHP_COMPOSER_FLAGS", "CC_PHP_DEV_DEPENDENCIES",
            "CC_PHP_DISABLE_APP_BUCKET", "CC_CGI_IMPLEMENTATION", "CC_APACHE_HEADERS_SIZE", "CC_REALPATH_CACHE_TTL",
            "CC_OPCACHE_MEMORY", "CC_OPCACHE_INTERNED_STRINGS_BUFFER", "CC_OPCACHE_MAX_ACCELERATED_FILES",
            "CC_OPCACHE_PRELOAD", "CC_MTA_SERVER_HOST", "CC_MTA_SERVER_PORT", "CC_MTA_SERVER_USE_TLS",
            "CC_MTA_SERVER_AUTH_METHOD", "CC_MTA_AUTH_USER", "CC_MTA_AUTH_PASSWORD",
        }
    )  # fmt: skip

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        asked = env.get("CC_CGI_IMPLEMENTATION", "").strip() or "proxy_fcgi"
        if asked not in SERVERS:
            raise InvalidError(f"CC_CGI_IMPLEMENTATION={asked} is not one of {', '.join(SERVERS)}")
        server = SERVERS[asked]
        notes = ("CC_CGI_IMPLEMENTATION=fastcgi: proxy_fcgi serves, Apache has no other today",)
        wanted = env.get("CC_PHP_VERSION", "")
        return Plan(
            runtime=self.slug,
            toolchains=("php", "apache", "together"),
            build=(
                *version_check("PHP", asked=wanted, who="CC_PHP_VERSION", program=VERSION),
                *_composer(tree, env),
            ),
            start=env.get("CC_RUN_COMMAND", "").strip() or STARTS[server],
            env={
                "APACHE_ROOT": webroot(tree, env),
                "HAVRE_HEAP_MIB": "$HEAP_MIB",
                "COMPOSER_CACHE_DIR": "/home/bas/.cache/composer",
                "COMPOSER_HOME": "/tmp/composer",
                "PHP_INI_SCAN_DIR": ":$APP_ROOT/clevercloud",
            },
            lock_files=("composer.lock", "composer.json"),
            dependencies=("vendor",),
            notes=notes if asked == "fastcgi" else (),
            packages=(*self.packages, *packages(tree, env, server=server)),
            build_packages=("composer",) if "composer.json" in tree else (),
        )


def _composer(tree: Tree, env: Mapping[str, str]) -> tuple[Command, ...]:
    """What installs composer.json's packages; the repository's own composer.phar wins over the stack's Composer."""
    if "composer.json" not in tree:
        return ()
    tree.json("composer.json")
    program = ("php", "composer.phar") if "composer.phar" in tree else ("composer",)
    wanted = env.get("CC_COMPOSER_VERSION", "")
    check = version_check("Composer", asked=wanted, who="CC_COMPOSER_VERSION", program=COMPOSER_VERSION)
    dev = () if env.get("CC_PHP_DEV_DEPENDENCIES", "").strip() == "install" else ("--no-dev",)
    own = env.get("CC_PHP_COMPOSER_FLAGS", "").strip()
    try:
        flags = tuple(shlex.split(own)) if own else (*FLAGS, *dev)
    except ValueError as cause:
        raise InvalidError(f"CC_PHP_COMPOSER_FLAGS={own} has a quote that does not end") from cause
    install = Command("composer install", (*program, "install", *flags))
    return (install,) if "composer.phar" in tree else (*check, install)


RUNTIME = Php()
