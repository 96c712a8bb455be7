"""Toolchains from a Maven repository: Maven itself, Tomcat, the launcher of sbt; each pinned by its SHA-512."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx

from havre.base.errors import UnavailableError
from havre.drivers.toolchains.place import open_to_all, put, scratch

CENTRAL = "https://repo.maven.apache.org/maven2"
FETCH_S = 300.0


@dataclass(frozen=True)
class Repository:
    """Where artifacts are fetched. proxy: empty for what HTTPS_PROXY says. authorities: None for this host's."""

    url: str = CENTRAL
    user: str = ""
    password: str = ""
    proxy: str = ""
    authorities: Path | None = None

    def __repr__(self) -> str:
        return "Repository(***)"


@dataclass(frozen=True)
class Artifact:
    """A file of a Maven repository. `suffix` is what follows the version in its name."""

    group: str
    name: str
    version: str
    suffix: str
    sha512: str

    @property
    def path(self) -> str:
        folder = f"{self.group.replace('.', '/')}/{self.name}/{self.version}"
        return f"{folder}/{self.name}-{self.version}{self.suffix}"


MAVEN = Artifact(
    "org.apache.maven", "apache-maven", "3.9.16", "-bin.tar.gz",
    "831a8591fe20c8243b1dbe7d71e3244f31d1665b0804b2e825e38cbbe5ce0cafb8338851f90780735568773e0a6cd07bbec107cda0b896b008b861075358b6f6",
)  # fmt: skip
SBT = Artifact(
    "org.scala-sbt", "sbt-launch", "1.12.14", ".jar",
    "4d33653754aeb08f00b1377a163155a7d70054e1de3d59a3ead2ad1653c6ab6ab3fc58cafc32acb5ac0796d4433440bdd7e7e71b2281c36ac26cd0042b60bb5d",
)  # fmt: skip
TOMCATS = {
    "9": Artifact(
        "org.apache.tomcat", "tomcat", "9.0.117", ".tar.gz",
        "82b15278a7bfa2685c80e07963c43246df4fd742d574b608a68f5ce67c6ffde0eff3e224cc9809925cc6bf7002a190c3bf420f50c0e4052467d3e665efc84a54",
    ),
    "10": Artifact(
        "org.apache.tomcat", "tomcat", "10.1.59", ".tar.gz",
        "992a8e88fc9c0338445f018a1e4a2757c9e71708dba795e2864c9b1613f2b3b9b19c048e787682deae6d6bff9971defc746e31282085d52ef1d32192e09f7a0f",
    ),
    "11": Artifact(
        "org.apache.tomcat", "tomcat", "11.0.24", ".tar.gz",
        "a2fb1bd511735bd3d135b87f628d2b1f71a43aed7c4d7511e770092e571bad6d5ad9e97a580852119770477fd86d7ed156d83d3cee2854bce260725ce48934d0",
    ),
}  # fmt: skip
SBT_SCRIPT = """#!/bin/sh
where= repositories=$HOME/.sbt/repositories
[ ! -f "$repositories" ] || where="-Dsbt.override.build.repos=true -Dsbt.repository.config=$repositories"
exec java $where $SBT_FLAGS $SBT_OPTS -jar /opt/havre/sbt/lib/sbt-launch.jar "$@"
"""


def maven(root: Path, repository: Repository) -> Path:
    return unpacked(root, f"maven-{MAVEN.version}", MAVEN, repository)


def tomcat(root: Path, major: str, repository: Repository) -> tuple[str, Path]:
    """Version and place. Raises UnavailableError for a Tomcat that we do not know."""
    if major not in TOMCATS:
        raise UnavailableError(f"there is no Tomcat {major}; there is {', '.join(TOMCATS)}")
    found = TOMCATS[major]
    return found.version, unpacked(root, f"tomcat-{found.version}", found, repository)


def sbt(root: Path, repository: Repository) -> Path:
    """The launcher, which fetches the sbt that a build names, and a script `bin/sbt` for it."""
    place = root / f"sbt-{SBT.version}-{hashlib.sha256(SBT_SCRIPT.encode()).hexdigest()[:8]}"
    if not place.exists():
        with scratch(root) as folder:
            fresh = folder / "sbt"
            (fresh / "lib").mkdir(parents=True)
            (fresh / "bin").mkdir()
            download(SBT, repository, fresh / "lib" / "sbt-launch.jar")
            (fresh / "bin" / "sbt").write_text(SBT_SCRIPT)
            (fresh / "bin" / "sbt").chmod(0o755)
            put(fresh, place)
    return place


def unpacked(root: Path, name: str, artifact: Artifact, repository: Repository) -> Path:
    """The one directory that the artifact's archive holds."""
    import tarfile

    place = root / name
    if not place.exists():
        with scratch(root) as folder:
            download(artifact, repository, folder / "archive.tar.gz")
            (folder / "out").mkdir()
            with tarfile.open(folder / "archive.tar.gz") as archive:
                archive.extractall(folder / "out", filter="data")
            (fresh,) = (folder / "out").iterdir()
            open_to_all(fresh)
            put(fresh, place)
    return place


def download(artifact: Artifact, repository: Repository, target: Path) -> None:
    """Raises UnavailableError when it cannot be had, or is not the file that we know."""
    url = f"{repository.url.rstrip('/')}/{artifact.path}"
    what = f"{artifact.group}:{artifact.name}:{artifact.version}"
    auth = (repository.user, repository.password) if repository.user else None
    found = hashlib.sha512()
    try:
        verify = ssl.create_default_context(cafile=repository.authorities)
        with (
            httpx.Client(
                proxy=repository.proxy or None, verify=verify, follow_redirects=True, timeout=FETCH_S, auth=auth
            ) as client,
            client.stream("GET", url) as response,
            target.open("wb") as file,
        ):
            response.raise_for_status()
            for chunk in response.iter_bytes():
                found.update(chunk)
                file.write(chunk)
    except httpx.HTTPStatusError as cause:
        status = cause.response.status_code
        raise UnavailableError(f"{what} could not be fetched: the Maven repository answered {status}") from cause
    except (httpx.HTTPError, OSError) as cause:
        raise UnavailableError(f"{what} could not be fetched from the Maven repository") from cause
    if found.hexdigest() != artifact.sha512:
        raise UnavailableError(f"{what} of the Maven repository is not the file that is expected (its SHA-512 differs)")
