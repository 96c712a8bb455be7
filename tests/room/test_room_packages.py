"""Where builds fetch packages: what the host's own tools are configured with, or the operator's word in its place."""

from __future__ import annotations

import json
import tomllib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from havre.apps.packages import maven, packages
from havre.drivers.toolchains import Repository
from havre.drivers.toolchains.trust import HOST_CA
from havre.kernel.config import BuildConfig, Config, PackagesConfig
from tests.room.build_rig import BuildRig, open_rig, places
from tests.room.runtime_suite import EXAMPLES

MIRRORED = """<?xml version="1.0"?>
<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://maven.apache.org/SETTINGS/1.2.0 https://maven.apache.org/xsd/settings-1.2.0.xsd">
  <localRepository>/srv/m2</localRepository>
  <proxies><proxy><host>10.0.0.1</host></proxy></proxies>
  <servers><server><id>inside</id><username>u</username><password>s3cr3t&amp;</password></server></servers>
  <mirrors><mirror><id>inside</id><mirrorOf>%s</mirrorOf><url>https://packages.example.test/m2</url></mirror></mirrors>
</settings>
"""
BLOCKER = """<settings><mirrors><mirror><id>blocker</id><mirrorOf>external:http:*</mirrorOf><url>http://0.0.0.0/</url>
<blocked>true</blocked></mirror></mirrors></settings>"""
CARGO = """
[build]
rustflags = ["-Ctarget-cpu=native"]
[source.crates-io]
replace-with = "inside"
[source.inside]
registry = "sparse+https://packages.example.test/cargo/"
[source.vendored]
directory = "/srv/vendor"
[registries.inside-2]
index = "sparse+https://packages.example.test/own/"
[http]
cainfo = "/srv/ca.pem"
timeout = 30
"""


def write(home: Path, files: Mapping[str, str]) -> dict[str, str]:
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return {"HOME": str(home)}


@pytest.mark.parametrize("pattern", ["central", "*", "external:*", "*,!snapshots"])
def test_the_hosts_mirror_of_central_is_everybodys(tmp_path: Path, pattern: str) -> None:
    found = packages(PackagesConfig(), write(tmp_path, {".m2/settings.xml": MIRRORED % pattern}))
    assert found.repository == Repository("https://packages.example.test/m2", "u", "s3cr3t&")
    settings = ElementTree.fromstring(found.files[".m2/settings.xml"])
    assert settings.findtext("servers/server/password") == "s3cr3t&"
    assert settings.find("localRepository") is None and settings.find("proxies") is None
    assert "https://packages.example.test/m2" in found.files[".sbt/repositories"]
    assert "username mirror.user" in found.files[".gradle/init.gradle"]
    assert "password: 's3cr3t&'" in found.files[".gradle/init.gradle"]
    assert found.environment["COURSIER_CREDENTIALS"] == "packages.example.test u:s3cr3t&"
    assert "s3cr3t" not in repr(found)


@pytest.mark.parametrize("pattern", ["snapshots", "*,!central"])
def test_a_mirror_of_something_else_leaves_central_alone(tmp_path: Path, pattern: str) -> None:
    found = packages(PackagesConfig(), write(tmp_path, {".m2/settings.xml": MIRRORED % pattern}))
    assert found.repository == Repository()
    assert ".sbt/repositories" not in found.files and ".gradle/init.gradle" not in found.files
    assert ".m2/settings.xml" in found.files


def test_the_operators_repository_stands_above_the_hosts_settings(tmp_path: Path) -> None:
    host = write(tmp_path, {".m2/settings.xml": MIRRORED % "*"})
    found = packages(PackagesConfig(maven_repository="https://repo.example.test/all?a&b"), host)
    assert found.repository.url == "https://repo.example.test/all?a&b"
    settings = ElementTree.fromstring(found.files[".m2/settings.xml"])
    assert settings.findtext("mirrors/mirror/url") == "https://repo.example.test/all?a&b"
    assert settings.findtext("mirrors/mirror/mirrorOf") == "*"


def test_what_stands_for_all_users_counts_where_ours_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "all.xml").write_text(MIRRORED % "central")
    found = maven.settings(write(tmp_path, {".m2/settings.xml": BLOCKER}), "", proxy="", of_all=tmp_path / "all.xml")
    assert found.repository.user == "u"


@pytest.mark.parametrize(
    "text", ["", "<settings/>", "<settings>", "not xml", "<settings><mirrors/></settings>", BLOCKER]
)
def test_settings_that_say_nothing_are_no_file(tmp_path: Path, text: str) -> None:
    host = write(tmp_path, {".m2/settings.xml": text})
    assert maven.settings(host, "", proxy="", of_all=tmp_path / "none").files == {}


def test_of_cargos_settings_only_what_says_where_packages_are_reaches_a_build(tmp_path: Path) -> None:
    tokens = '[registry]\ntoken = "t1"\n[registries.inside-2]\ntoken = "t2"\n'
    found = packages(
        PackagesConfig(), write(tmp_path, {".cargo/config.toml": CARGO, ".cargo/credentials.toml": tokens})
    )
    assert tomllib.loads(found.files[".cargo/config.toml"]) == {
        "source": {
            "crates-io": {"replace-with": "inside"},
            "inside": {"registry": "sparse+https://packages.example.test/cargo/"},
        },
        "registries": {"inside-2": {"index": "sparse+https://packages.example.test/own/"}},
        "http": {"timeout": 30},
    }
    assert found.environment["CARGO_REGISTRY_TOKEN"] == "t1"
    assert found.environment["CARGO_REGISTRIES_INSIDE_2_TOKEN"] == "t2"


def test_the_operators_crates_stand_in_the_place_of_crates_io(tmp_path: Path) -> None:
    config = PackagesConfig(cargo_registry="sparse+https://crates.example.test/")
    found = packages(config, write(tmp_path, {".cargo/config.toml": CARGO}))
    told = tomllib.loads(found.files[".cargo/config.toml"])["source"]
    assert told[told["crates-io"]["replace-with"]] == {"registry": "sparse+https://crates.example.test/"}


def test_go_is_told_what_go_env_says_and_a_variable_stands_above_it(tmp_path: Path) -> None:
    said = "GOPROXY=https://packages.example.test/go\nGOPRIVATE=example.test/own\nGOFLAGS=-mod=mod\nGOBIN=/srv/bin\n"
    host = write(tmp_path, {".config/go/env": said})
    found = packages(PackagesConfig(), host).environment
    assert (found["GOPROXY"], found["GOPRIVATE"]) == ("https://packages.example.test/go", "example.test/own")
    assert "GOBIN" not in found and "GOFLAGS" not in found
    assert packages(PackagesConfig(), host | {"GOPROXY": "direct"}).environment["GOPROXY"] == "direct"
    config = PackagesConfig(environment={"GOPROXY": "https://other.example.test"})
    assert packages(config, host).environment["GOPROXY"] == "https://other.example.test"


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


@pytest.mark.anyio
async def test_the_files_stand_in_the_builds_home_for_its_user_alone_and_are_in_no_log(rig: BuildRig) -> None:
    home = rig.paths.data / "home"
    own = "quoted \"$HOME\" 'x' `y` \\n"
    told = {
        ".m2/settings.xml": MIRRORED % "central",
        ".cargo/config.toml": f"[registries.a]\nindex = {json.dumps(own)}\n",
    }
    rig.host = {**rig.host, **write(home, told)}
    look = (
        "cd ~ && stat -c '%a %n' .m2/settings.xml .cargo/config.toml .sbt/repositories .gradle/init.gradle"
        " && grep -c s3cr3t .m2/settings.xml; cat .cargo/config.toml; env | grep -cE '^HAVRE_(FILE|PLACE)_'; true"
    )
    built = await rig.build({"package.json": '{"main": "x.js"}', "x.js": ""}, "node", {"CC_PRE_BUILD_HOOK": look})
    for name in (".m2/settings.xml", ".cargo/config.toml", ".sbt/repositories", ".gradle/init.gradle"):
        assert f"600 {name}\n" in built.said
    kept = packages(PackagesConfig(), rig.host).files[".cargo/config.toml"]
    assert tomllib.loads(kept)["registries"]["a"]["index"] == own
    assert f"gradle\n1\n{kept}0\n" in built.said
    assert "s3cr3t" not in built.said.replace("grep -c s3cr3t", "")


@pytest.mark.anyio
@pytest.mark.soak
async def test_java_trusts_whom_the_operators_bundle_names_in_a_build_and_the_hosts_list_in_the_app(
    rig: BuildRig,
) -> None:
    one = HOST_CA.read_text().split("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n"
    bundle = rig.paths.data / "ca.pem"
    bundle.write_text(one)
    rig.config = Config(build=BuildConfig(packages=PackagesConfig(ca_bundle=str(bundle))))
    count = "keytool -list -keystore /opt/havre/trust/cacerts -storepass changeit | grep 'keystore contains'"
    jar = EXAMPLES / "jar-hello"
    env = {"CC_PRE_BUILD_HOOK": f"sh make-jar.sh && {count}", "CC_JAR_PATH": "hello.jar"}
    built = await rig.build(jar, "jar", env | {"CC_PRE_RUN_HOOK": f"{count} || true"})
    assert "Your keystore contains 1 entry" in built.said
    async with rig.instance(built) as started:
        await started.answer("/")
        number = HOST_CA.read_text().count("BEGIN CERTIFICATE")
        assert f"Your keystore contains {number} entries" in started.said()


@pytest.mark.anyio
@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("example", "runtime"), [("maven-spring-boot", "maven"), ("gradle-nanohttpd", "gradle"), ("sbt-hello", "sbt"), ("rust-axum", "rust")]
)  # fmt: skip
async def test_the_operators_repository_is_the_one_that_is_asked(rig: BuildRig, example: str, runtime: str) -> None:
    told = PackagesConfig(
        maven_repository="https://packages.example.test/m2",
        cargo_registry="sparse+https://packages.example.test/cargo/",
    )
    tools = {"maven": ("maven",), "sbt": ("sbt",)}.get(runtime, ())
    for name in tools:  # which would be asked for there too
        await rig.toolchains().ensure(name)
    rig.config = Config(build=BuildConfig(packages=told))
    built = await rig.build(EXAMPLES / example, runtime, limit_s=600)
    assert not built.exit.is_success
    assert "packages.example.test" in built.said
