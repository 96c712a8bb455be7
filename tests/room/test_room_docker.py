"""Docker apps for real: buildah makes an image without a daemon, and its files are the root of a sandbox."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import anyio
import pytest

from havre.apps import images
from havre.base.errors import ExhaustedError, InvalidError
from havre.kernel.config import Config
from tests.room import oci_rig
from tests.room.build_rig import BuildRig, Built, an_app, open_rig, places
from tests.room.runtime_suite import EXAMPLES

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
APP = EXAMPLES / "docker-hello"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="an image has users of its own, which only root can give")


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


async def built_of(rig: BuildRig, dockerfile: str, env: dict[str, str] | None = None, **files: str) -> Built:
    return await rig.build({"Dockerfile": dockerfile, **files}, "docker", env)


@needs_root
@pytest.mark.soak
async def test_an_image_is_built_and_its_app_is_a_user_of_its_own(rig: BuildRig) -> None:
    await oci_rig.give_base_images(rig)
    env = {"GREETING": "Bonjour", "CC_DOCKER_LOGIN_PASSWORD": "s3cret"}
    built = await rig.build(APP, "docker", env)
    assert built.exit.is_success, built.said
    assert "FROM python:3.11: /opt/havre/images/python, tag 3.11" in built.said
    assert "s3cret" not in built.said
    async with rig.instance(built) as started:
        answer = await started.answer("/")
        assert "Bonjour from shop, user 33" in answer, started.said()
        shell = await rig.engine.open_shell(started.id, terminal=None)
        assert shell.process.stdin is not None and shell.process.stdout is not None
        await shell.process.stdin.send(b"id -u; cat /srv/notes/last; touch /etc/mine || echo kept\n")
        await shell.process.stdin.aclose()
        assert await shell.process.stdout.receive() == b"33\n"
        with anyio.fail_after(30):
            said = b"".join([part async for part in shell.process.stdout])
        await shell.close()
        assert said == b"/kept\n", "it sees what the app wrote, and may no more than the app"
        ended = await started.stop(grace_s=10)
    assert ended.code == 0, started.said()


@needs_root
@pytest.mark.soak
async def test_the_root_of_an_image_changes_users_and_listens_below_1024_and_can_do_nothing_to_the_host(
    rig: BuildRig,
) -> None:
    await oci_rig.give_base_images(rig)
    script = """
import os, socket
from http.server import BaseHTTPRequestHandler, HTTPServer
assert os.getuid() == 0
refused = []
for what, act in (
    ("mount", lambda: os.stat("/proc/1/root/home")), ("chroot", lambda: os.chroot("/srv")),
    ("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)), ("mknod", lambda: os.mknod("/dev/x", 0o60600, 0x800)),
    ("unshare", lambda: os.unshare(0x10000000) if hasattr(os, "unshare") else os.chroot("/")),
):
    try:
        act()
    except OSError:
        refused.append(what)
server = HTTPServer(("0.0.0.0", 80), BaseHTTPRequestHandler)
os.chown("/srv/mine", 1234, 1234)
os.setgid(1234)
os.setuid(1234)
open("/srv/mine/x", "w").write("mine")
body = f"{os.getuid()} {sorted(refused)}".encode()
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(body)
server.RequestHandlerClass = Answer
server.serve_forever()
"""
    dockerfile = 'FROM python:3.11\nCOPY a.py /a.py\nRUN mkdir -p /srv/mine\nENTRYPOINT ["python3", "/a.py"]\n'
    built = await built_of(rig, dockerfile, {"CC_DOCKER_EXPOSED_HTTP_PORT": "80"}, **{"a.py": script})
    assert built.exit.is_success, built.said
    async with rig.instance(built) as started:
        answer = await started.answer("/", port=80)
        assert "1234 ['chroot', 'mknod', 'nice', 'unshare']" in answer, f"{answer}\n{started.said()}"


@needs_root
@pytest.mark.soak
async def test_a_dockerfile_that_fails_is_told_in_its_own_words(rig: BuildRig) -> None:
    await oci_rig.give_base_images(rig)
    built = await built_of(rig, 'FROM python:3.11\nRUN echo so far && exit 3\nCMD ["x"]\n')
    assert not built.exit.is_success
    assert "so far" in built.said and "exit status 3" in built.said
    built = await built_of(rig, 'FROM nowhere:1\nCMD ["x"]\n')
    assert not built.exit.is_success and "nowhere:1" in built.said


@needs_root
@pytest.mark.soak
async def test_a_base_image_comes_from_the_operators_registry(rig: BuildRig) -> None:
    """The registry is a real one, started by a hook in the build's own sandbox, where its loopback is the build's."""
    await oci_rig.give_base_images(rig)
    oci_rig.set_images(rig, layouts=rig.config.build.images.layouts, registry="127.0.0.1:5000", insecure=True)
    hook = """
printf 'version: 0.1\\nstorage: {filesystem: {rootdirectory: /tmp/registry}}\\nhttp: {addr: 127.0.0.1:5000}\\n' > /tmp/r.yml
docker-registry serve /tmp/r.yml > /tmp/r.log 2>&1 &
until curl -sf http://127.0.0.1:5000/v2/; do sleep 0.1; done
skopeo copy --insecure-policy --dest-tls-verify=false oci:/opt/havre/images/python:3.11 docker://127.0.0.1:5000/team/base:1
"""
    env = {"CC_PRE_BUILD_HOOK": hook, "HAVRE_PACKAGES": "docker-registry skopeo"}
    dockerfile = 'FROM team/base:1\nCMD ["python3", "-m", "http.server", "8080"]\n'
    built = await built_of(rig, dockerfile, env)
    assert built.exit.is_success, built.said
    assert "200 OK" in await rig.answer(built)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({}, "names a folder of OCI layouts or a registry"), ({"layouts": "/nonexistent"}, "there is no folder")],
)
@needs_root
async def test_without_base_images_a_docker_app_is_refused(rig: BuildRig, settings: dict[str, str], says: str) -> None:
    oci_rig.set_images(rig, **settings)
    with pytest.raises(InvalidError) as refused:
        await built_of(rig, "FROM python:3.11\n")
    assert says in refused.value.message


def test_the_users_of_two_apps_do_not_overlap_and_there_is_an_end_to_them() -> None:
    config = Config()
    one, other = (images.users(an_app("docker", uid=200_000 + number), config) for number in (7, 8))
    assert one.first + one.count == other.first and one.first >= 2_000_000_000
    with pytest.raises(ExhaustedError):
        images.users(an_app("docker", uid=235_300), config)
