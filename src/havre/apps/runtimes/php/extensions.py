"""Which Debian packages bring the extensions and libraries that a PHP app asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from havre.apps.runtimes.plan import is_true
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

# what most apps take for granted
USUAL = (
    "apcu", "bcmath", "curl", "gd", "gmp", "intl", "mbstring", "mysql", "pgsql", "redis", "soap", "sqlite3", "xml",
    "zip",
)  # fmt: skip
# more that there are, on request
MORE = (
    "amqp", "ast", "bz2", "dba", "ds", "enchant", "excimer", "gearman", "geoip", "gnupg", "igbinary", "imagick",
    "imap", "interbase", "ldap", "mailparse", "memcache", "memcached", "mongodb", "msgpack", "oauth", "odbc",
    "pcov", "ps", "pspell", "raphf", "rrd", "smbclient", "snmp", "solr", "ssh2", "stomp", "tidy",
    "uploadprogress", "uuid", "xdebug", "yac", "yaml", "zmq",
)  # fmt: skip
ANOTHER = {"mysqli": "mysql", "mysqlnd": "mysql", "pdo_mysql": "mysql", "pdo_pgsql": "pgsql", "pdo_sqlite": "sqlite3"}
ANOTHER |= {"pdo_odbc": "odbc", "pdo_firebird": "interbase"}
ANOTHER |= dict.fromkeys(("dom", "simplexml", "xmlreader", "xmlwriter", "xsl"), "xml")
_LIBRARY = re.compile(r"php-[a-z0-9][a-z0-9.+-]*")


def packages(tree: Tree, env: Mapping[str, str], *, server: str) -> tuple[str, ...]:
    """Beyond PHP itself: the usual extensions, `ext-…` of composer.json's `require`, `ENABLE_…` variables,
    libraries of `extra.havre.packages`. Raises InvalidError for a library that is no package of PHP's."""
    package = tree.json("composer.json") if "composer.json" in tree else {}
    names = {*USUAL}
    names |= {name.removeprefix("ext-").lower() for name in _names(package.get("require")) if name.startswith("ext-")}
    names |= {name.removeprefix("ENABLE_").lower() for name, value in env.items() if _is_on(name, value)}
    found = {ANOTHER.get(name, name) for name in names}
    wanted = [f"php-{name}" for name in sorted(found) if name in USUAL or name in MORE]
    extra = package.get("extra")
    own = extra.get("havre") if isinstance(extra, dict) else None
    libraries = own.get("packages", []) if isinstance(own, dict) else []
    if not isinstance(libraries, list) or any(not _LIBRARY.fullmatch(str(each)) for each in libraries):
        raise InvalidError('extra.havre.packages of composer.json is a list of Debian packages, such as ["php-twig"]')
    if server == "module":
        wanted.append("libapache2-mod-php")
    if env.get("CC_MTA_SERVER_HOST", "").strip():
        wanted.append("msmtp")
    return (*wanted, *(str(each) for each in libraries))


def _names(require: object) -> tuple[str, ...]:
    return tuple(str(name) for name in require) if isinstance(require, dict) else ()


def _is_on(name: str, value: str) -> bool:
    return name.startswith("ENABLE_") and is_true(value)
