"""Docker apps: an image that buildah makes of a Dockerfile, whose files become the instance's root. README.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from havre.apps.runtimes.docker.script import BUILD
from havre.apps.runtimes.plan import Command, Plan, is_true
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

_ARGUMENT = re.compile(r"[A-Za-z_]\w*")
# what other kinds of apps honour
WITHOUT_EFFECT = re.compile(
    r"CC_RUN_COMMAND|CC_PRE_RUN_HOOK|CC_RUN_(SUCCEEDED|FAILED)_HOOK|CC_WORKER_\w+|CC_(OVERRIDE|IGNORE)_(FROM_)?BUILDCACHE"
    r"|CC_VARNISH_\w+|CC_REQUEST_FLOW_CUSTOM|CC_DOCKER_BUILDX"
)
SECRET = frozenset({"CC_DOCKER_LOGIN_PASSWORD", "CC_DOCKER_LOGIN_USERNAME", "CC_DOCKER_LOGIN_SERVER"})


class Docker:
    slug = "docker"
    type = "docker"
    name = "Docker"
    variant_id = "d5ff282b-dd1a-4c9a-a0c8-c9524b1370e9"
    packages: tuple[str, ...] = ("util-linux",)  # setpriv, with which an instance becomes the image's user
    programs: tuple[str, ...] = ("buildah", "setpriv")
    variables = frozenset(
        {"CC_DOCKERFILE", "CC_DOCKER_EXPOSED_HTTP_PORT", "CC_DOCKER_EXPOSED_TCP_PORT", "CC_DOCKER_BUILDX", *SECRET}
    )

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        if is_true(env.get("CC_MOUNT_DOCKER_SOCKET")):
            raise InvalidError("CC_MOUNT_DOCKER_SOCKET: there is no Docker here whose socket could be given to an app")
        flow = env.get("CC_REQUEST_FLOW", "").strip()
        if flow and flow != "disable":
            raise InvalidError("CC_REQUEST_FLOW: a docker app brings what stands in front of it in its own image")
        names = sorted(name for name in env if _ARGUMENT.fullmatch(name) and name not in SECRET)
        build = Command("buildah", ("/bin/sh", "-c", BUILD, "buildah", self._file(tree, env), *names), quiet=True)
        idle = sorted(name for name in env if WITHOUT_EFFECT.fullmatch(name) and env[name].strip())
        note = f"without effect on docker apps, whose image brings what it starts: {', '.join(idle)}"
        return Plan(
            runtime=self.slug,
            toolchains=(),
            build=(build,),
            start="",
            notes=(note,) if idle else (),
            packages=self.packages,
            build_packages=("buildah",),
            port=self._port(env, "CC_DOCKER_EXPOSED_HTTP_PORT", 8080),
            tcp_port=self._port(env, "CC_DOCKER_EXPOSED_TCP_PORT", 4040),
            image=True,
        )

    def _file(self, tree: Tree, env: Mapping[str, str]) -> str:
        asked = env.get("CC_DOCKERFILE", "").strip().lstrip("/")
        path = PurePosixPath(asked or "Dockerfile")
        if ".." in path.parts:
            raise InvalidError(f"CC_DOCKERFILE={asked} must be a file of the app")
        if len(path.parts) == 1 and path.name not in tree:
            raise InvalidError(
                f"CC_DOCKERFILE={asked} is not in the repository"
                if asked
                else "no Dockerfile at the top of the repository (another name? then set CC_DOCKERFILE)"
            )
        return str(path)

    def _port(self, env: Mapping[str, str], name: str, usual: int) -> int:
        asked = env.get(name, "").strip() or str(usual)
        if not asked.isdecimal() or not 0 < int(asked) < 65536:
            raise InvalidError(f"{name}={asked} is not a port")
        return int(asked)


RUNTIME = Docker()
