"""Docker apps: what is built of which files, and what an image says of its start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from havre.apps import images, runtimes
from havre.apps.runtimes import Plan, Tree
from havre.apps.runtimes.docker.script import DESCRIPTION, IMAGE_FOLDER, ROOT
from havre.base.errors import InvalidError
from havre.kernel.config import ImagesConfig


def detected(env: Mapping[str, str] | None = None, *names: str) -> Plan:
    return runtimes.detect("docker", Tree(frozenset(names or ("Dockerfile",)), {}), env or {}, memory_mib=1024)


def test_a_dockerfile_is_built_with_every_variable_as_an_argument_and_no_password() -> None:
    env = {"GREETING": "hi", "odd-name": "x", "CC_DOCKER_LOGIN_PASSWORD": "s3cret", "CC_DOCKER_LOGIN_USERNAME": "u"}
    plan = detected(env)
    (build,) = plan.build
    assert build.argv[4:] == ("Dockerfile", "GREETING")
    assert build.quiet and not any("s3cret" in each for each in build.argv)
    assert plan.image and plan.port == 8080 and plan.build_packages == ("buildah",)


def test_the_file_and_the_port_may_be_others() -> None:
    ports = {"CC_DOCKER_EXPOSED_HTTP_PORT": "3000", "CC_DOCKER_EXPOSED_TCP_PORT": "25"}
    plan = detected({"CC_DOCKERFILE": "/deploy/Prod.dockerfile", **ports})
    assert plan.build[0].argv[4] == "deploy/Prod.dockerfile" and (plan.port, plan.tcp_port) == (3000, 25)


@pytest.mark.parametrize(
    ("env", "names", "says"),
    [
        ({}, ("index.html",), "no Dockerfile at the top"),
        ({"CC_DOCKERFILE": "Gone"}, (), "CC_DOCKERFILE=Gone is not in the repository"),
        ({"CC_DOCKERFILE": "../Dockerfile"}, (), "must be a file of the app"),
        ({"CC_DOCKER_EXPOSED_HTTP_PORT": "http"}, (), "is not a port"),
        ({"CC_DOCKER_EXPOSED_HTTP_PORT": "65536"}, (), "is not a port"),
        ({"CC_MOUNT_DOCKER_SOCKET": "true"}, (), "no Docker here whose socket"),
        ({"CC_REQUEST_FLOW": "varnish"}, (), "in its own image"),
    ],
)
def test_what_cannot_be_is_refused(env: dict[str, str], names: tuple[str, ...], says: str) -> None:
    with pytest.raises(InvalidError) as refused:
        detected(env, *names)
    assert says in refused.value.message


def test_what_has_no_effect_is_named() -> None:
    idle = {"CC_RUN_COMMAND": "./a", "CC_WORKER_COMMAND_0": "./b", "CC_PRE_RUN_HOOK": "true", "CC_TASK": ""}
    plan = detected(idle | {"CC_DOCKER_FIXED_CIDR_V6": "fd00::/80", "CC_IGNORE_FROM_BUILDCACHE": "x"})
    assert plan.notes[0].endswith(": CC_IGNORE_FROM_BUILDCACHE, CC_PRE_RUN_HOOK, CC_RUN_COMMAND, CC_WORKER_COMMAND_0")
    assert "CC_DOCKER_FIXED_CIDR_V6" in plan.notes[1]


PASSWD = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/srv:/bin/false\n"
GROUP = "root:x:0:\nstaff:x:50:www\n"


def made(release: Path, config: Mapping[str, Any]) -> Path:
    etc = release / IMAGE_FOLDER / ROOT / "etc"
    etc.mkdir(parents=True)
    (etc / "passwd").write_text(PASSWD)
    (etc / "group").write_text(GROUP)
    (release / IMAGE_FOLDER / DESCRIPTION).write_text(json.dumps({"OCIv1": {"config": config}}))
    return release


def test_an_image_says_how_it_starts(tmp_path: Path) -> None:
    config = {
        "Entrypoint": ["/init", "--"], "Cmd": ["serve", "a b"], "WorkingDir": "/srv", "User": "www",
        "Env": ["PATH=/bin", "OPTS=a=b", "EMPTY="],
    }  # fmt: skip
    found = images.read_image(made(tmp_path, config))
    assert found.argv == ("/init", "--", "serve", "a b") and found.cwd == "/srv"
    assert found.env == {"PATH": "/bin", "OPTS": "a=b", "EMPTY": ""}
    assert found.user == images.User(33, 34, (50,), "/srv")
    assert found.root == tmp_path / IMAGE_FOLDER / ROOT


@pytest.mark.parametrize(
    ("user", "numbers"),
    [("", (0, 0)), ("33", (33, 34)), ("1234", (1234, 0)), ("www:staff", (33, 50)), ("7:8", (7, 8)), ("root", (0, 0))],
)
def test_the_images_user_is_found_in_its_own_files(tmp_path: Path, user: str, numbers: tuple[int, int]) -> None:
    found = images.read_image(made(tmp_path, {"Cmd": ["x"], "User": user}))
    assert (found.user.uid, found.user.gid) == numbers


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "needs CMD or ENTRYPOINT"),
        ({"Cmd": "serve"}, "Cmd is not a list of texts"),
        ({"Cmd": ["a\0b"]}, "Cmd is not a list of texts"),
        ({"Cmd": ["x"], "WorkingDir": "srv"}, "WORKDIR is not a path"),
        ({"Cmd": ["x"], "User": "nobody-here"}, "USER nobody-here is not in its /etc/passwd"),
        ({"Cmd": ["x"], "User": "70000"}, "past 65535"),
        ({"Cmd": ["x"], "User": 7}, "USER is not a text"),
    ],
)
def test_an_image_that_says_it_wrongly_is_refused(tmp_path: Path, config: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidError) as refused:
        images.read_image(made(tmp_path, config))
    assert says in refused.value.message


@pytest.mark.parametrize("linked", [IMAGE_FOLDER, f"{IMAGE_FOLDER}/{ROOT}", f"{IMAGE_FOLDER}/{DESCRIPTION}"])
def test_no_link_of_a_build_leads_the_platform_to_a_file_of_the_host(tmp_path: Path, linked: str) -> None:
    release = made(tmp_path / "release", {"Cmd": ["x"]})
    (release / linked).rename(tmp_path / "host")
    (release / linked).symlink_to(tmp_path / "host")
    with pytest.raises(InvalidError, match="left no image"):
        images.read_image(release)


def test_a_link_in_the_image_does_not_lead_to_the_hosts_users(tmp_path: Path) -> None:
    release = made(tmp_path, {"Cmd": ["x"], "User": "daemon"})
    etc = release / IMAGE_FOLDER / ROOT / "etc"
    (etc / "passwd").unlink()
    (etc / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(InvalidError, match="USER daemon is not in its"):
        images.read_image(release)


def test_only_a_platform_that_is_root_builds_images_and_it_tells_the_build_of_the_registry() -> None:
    config = ImagesConfig(registry="registry.example.test:5000", insecure=True)
    with pytest.raises(InvalidError, match="runs as root"):
        images.bases(config, is_root=False)
    assert images.bases(config, is_root=True) == (
        (),
        {"HAVRE_REGISTRY": "registry.example.test:5000", "HAVRE_INSECURE": "true"},
    )
