"""Submodules and private dependencies from hosts beyond this machine, by https and by ssh with the app's key."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.git_hosts import Hosts, hosts
from tests.system.rig import Installation, git, installation, until, write_files

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.getuid() != 0, reason="makes a network namespace")]
HOST = "parts.havre.localhost"


@pytest.fixture(scope="module")
def strangers() -> Iterator[Hosts]:
    with tempfile.TemporaryDirectory(prefix="hvg") as place:
        folder = Path(place)
        with hosts(folder) as found:
            publish(folder, "page", {"index.html": "<h1>a page of a submodule</h1>"})
            publish(folder, "deep", {"deep.txt": "deep"})
            publish(folder, "private", {"private.txt": "private"}, modules={"deep": f"{found.https}/deep.git"})
            yield found


def publish(folder: Path, name: str, files: dict[str, str], modules: dict[str, str] | None = None) -> None:
    """A repository at the hosts; its submodules are at the commits that they have in `folder`."""
    work = folder / f"{name}.work"
    work.mkdir()
    git(work, "init", "-q", "-b", "master")
    write_files(work, files)
    for path, url in (modules or {}).items():
        add_submodule(work, path, url, head(folder, path))
    git(work, "add", ".gitmodules" if modules else ".", *files)
    git(work, "commit", "-q", "-m", name)
    git(folder, "clone", "-q", "--bare", str(work), f"{name}.git")


def add_submodule(work: Path, path: str, url: str, at: str) -> None:
    with open(work / ".gitmodules", "a") as file:
        file.write(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{at},{path}")


def head(folder: Path, name: str) -> str:
    return git(folder / f"{name}.work", "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def havre(strangers: Hosts) -> Iterator[Installation]:
    bundle = strangers.folder / "all.pem"
    bundle.write_text(Path("/etc/ssl/certs/ca-certificates.crt").read_text() + strangers.ca.read_text())
    with installation(**{"build.packages": {"ca_bundle": str(bundle)}}) as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def parts(havre: Installation, strangers: Hosts) -> Path:
    folder = havre.new_repository("parts", {"README.md": ""})
    add_submodule(folder, "page", f"{strangers.https}/page.git", head(strangers.folder, "page"))
    add_submodule(folder, "private", f"{strangers.ssh}/private.git", head(strangers.folder, "private"))
    git(folder, "add", ".gitmodules")
    git(folder, "commit", "-q", "-m", "parts")
    havre.clever("create", "-t", "static", "parts", cwd=folder)
    env = {
        "CC_WEBROOT": "/page",
        "CC_PRE_BUILD_HOOK": f"git ls-remote {strangers.ssh}/private.git HEAD",
        "CC_POST_BUILD_HOOK": "cat private/private.txt private/deep/deep.txt; find . -name .git",
    }
    havre.clever("env", "import", cwd=folder, stdin="".join(f'{name}="{value}"\n' for name, value in env.items()))
    havre.clever("env", "set", "CC_SSH_PRIVATE_KEY", f" {strangers.key}", cwd=folder)
    return folder


def test_submodules_are_fetched_with_theirs_and_the_key_opens_private_ones(
    havre: Installation, parts: Path, strangers: Hosts
) -> None:
    out = havre.clever("deploy", cwd=parts).stdout
    assert havre.get(HOST)[2] == b"<h1>a page of a submodule</h1>"
    assert "privatedeep" in out
    assert ".git\n" not in out.partition("privatedeep")[2].partition("took")[0], "no .git is left"
    assert f"{head(strangers.folder, 'private')}\tHEAD" in out, "hooks may ask the private host too"
    assert strangers.key.splitlines()[1] not in out
    assert "git-upload-pack '/private.git'" in strangers.heard()


def test_an_address_that_is_neither_https_nor_ssh_is_refused_by_name(havre: Installation, parts: Path) -> None:
    git(parts, "config", "-f", ".gitmodules", "submodule.page.url", "file:///etc")
    git(parts, "commit", "-q", "-a", "-m", "the host's own files")
    havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=parts)
    until(lambda: havre.clever_json("activity", cwd=parts)[-1]["state"] == "FAIL", what="it fails")
    last = havre.clever_json("activity", cwd=parts)[-1]["uuid"]
    words = ("logs", "--deployment-id", last, "--since", "1h", "--until", "0s")
    assert "submodule page: file:///etc is not fetched: only https:// and ssh" in havre.clever(*words, cwd=parts).stdout
    assert havre.get(HOST)[2] == b"<h1>a page of a submodule</h1>"
