"""Where builds of the Java family fetch artifacts: this host's Maven settings, or the operator's repository.

Maven reads a settings.xml. Gradle and sbt know nothing of it: for them what it says of Maven Central is said again in
their own words.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from havre.drivers.toolchains import Repository

if TYPE_CHECKING:  # imported where a host has settings: few have
    from xml.etree.ElementTree import Element

OF_ALL = Path("/etc/maven/settings.xml")
CENTRAL_HOSTS = ("repo.maven.apache.org", "repo1.maven.org", "jcenter.bintray.com")
GRADLE_INIT = """\
// Maven Central is where this installation fetches its packages.
def mirror = %s
def move = { repositories ->
  repositories.all { repository ->
    if (repository instanceof MavenArtifactRepository && repository.url.host in %s) {
      repository.url = mirror.url
      if (mirror.user) { repository.credentials { username mirror.user; password mirror.password } }
    }
  }
}
allprojects { move(buildscript.repositories); move(repositories) }
"""
_DROPPED = ("localRepository", "proxies", "interactiveMode", "offline", "usePluginRegistry")  # they name the host


@dataclass(frozen=True)
class Settings:
    """files: below the home of a build. environment: for it. repository: in place of Maven Central."""

    files: Mapping[str, str]
    environment: Mapping[str, str]
    repository: Repository

    def __repr__(self) -> str:
        return "Settings(***)"


def settings(host: Mapping[str, str], repository: str, *, proxy: str, of_all: Path = OF_ALL) -> Settings:
    """repository: the operator's, in place of everything that the host's settings say. proxy: to fetch through.

    of_all: what is read where the user that we are has no settings of his own.
    """
    home = Path(host.get("HOME") or "/nonexistent")
    if repository:
        mirror = Repository(repository, proxy=proxy)
        files = {".m2/settings.xml": _own_settings(repository)}
    else:
        root = _read(home / ".m2" / "settings.xml", of_all)
        mirror = _mirror(root, proxy) if root is not None else Repository(proxy=proxy)
        files = {".m2/settings.xml": _text_of(root)} if root is not None else {}
        secret = home / ".m2" / "settings-security.xml"
        files |= {".m2/settings-security.xml": secret.read_text()} if files and secret.is_file() else {}
    env = {}
    if mirror.url != Repository().url:
        files[".gradle/init.gradle"] = _gradle(mirror)
        files[".sbt/repositories"] = f"[repositories]\n  local\n  operator: {mirror.url}\n"
        if mirror.user:
            env["COURSIER_CREDENTIALS"] = f"{urlsplit(mirror.url).hostname} {mirror.user}:{mirror.password}"
    return Settings(files, env, mirror)


def _own_settings(url: str) -> str:
    mirror = f"<mirror><id>operator</id><mirrorOf>*</mirrorOf><url>{html.escape(url, quote=False)}</url></mirror>"
    return f"<settings><mirrors>{mirror}</mirrors></settings>"


def _read(*files: Path) -> Element | None:
    """The first of `files` that says something, without what names places of this host; None when none does."""
    for file in files:
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError):
            continue
        from xml.etree import ElementTree

        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError:
            continue
        for each in list(root.iter()):  # names without their namespace, which Maven does not ask for
            each.tag = each.tag.rpartition("}")[2]
        for mirrors in root.iterfind("mirrors"):  # what only forbids plain HTTP, as Maven's own settings do
            for each in mirrors.findall("mirror[blocked='true']"):
                mirrors.remove(each)
        for each in list(root):
            if each.tag in _DROPPED or not len(each):
                root.remove(each)
        if len(root):
            root.attrib.clear()
            return root
    return None


def _text_of(root: Element) -> str:
    from xml.etree import ElementTree

    return ElementTree.tostring(root, encoding="unicode")


def _mirror(root: Element, proxy: str) -> Repository:
    """The mirror of Central, with who asks it; Central itself when there is none (maven.apache.org, "Mirrors")."""
    servers = {_text(each, "id"): each for each in root.iterfind("servers/server")}
    for mirror in root.iterfind("mirrors/mirror"):
        if _is_of_central(_text(mirror, "mirrorOf")):
            server = servers.get(_text(mirror, "id"))
            user, password = (_text(server, "username"), _text(server, "password")) if server is not None else ("", "")
            return Repository(_text(mirror, "url"), user, password, proxy)
    return Repository(proxy=proxy)


def _is_of_central(pattern: str) -> bool:
    words = {each.strip() for each in pattern.split(",")}
    return "!central" not in words and bool(words & {"central", "*", "external:*"})


def _text(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _gradle(mirror: Repository) -> str:
    """A Groovy map has the form of JSON with brackets."""
    pairs = {"url": mirror.url, "user": mirror.user, "password": mirror.password}
    table = ", ".join(f"{name}: {_groovy(value)}" for name, value in pairs.items())
    return GRADLE_INIT % (f"[{table}]", json.dumps(list(CENTRAL_HOSTS)).replace('"', "'"))


def _groovy(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"
