"""The variables that all kinds of apps share: what the platform sets, what it honours, and what it does not (yet).

docs/reference/variables.md is made from this by `tools/variables.py`; a test keeps the two together. A runtime's own
variables are in the runtime.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """`name` may end in `_N`: any number. `default` is what holds when it is not set."""

    name: str
    meaning: str
    default: str = ""

    def matches(self, name: str) -> bool:
        if not self.name.endswith("_N"):
            return name == self.name
        return re.fullmatch(re.escape(self.name[:-1]) + r"\d{1,4}", name) is not None


PLATFORM = (
    Variable("APP_ID", "the app's id"),
    Variable("APP_HOME", "where the repository's files are: `/home/bas/<app id>`"),
    Variable("APP_ROOT", "the app's folder: `APP_HOME`, with `APP_FOLDER` below it"),
    Variable("INSTANCE_ID", "the instance's (or the build's) id"),
    Variable("INSTANCE_NUMBER", "0, 1 and so on, within the app"),
    Variable("INSTANCE_TYPE", "`build` or `production`"),
    Variable("CC_PRETTY_INSTANCE_NAME", "a name for the instance that a person can say"),
    Variable("CC_DEPLOYMENT_ID", "the deployment that started it"),
    Variable("CC_COMMIT_ID", "the commit; `COMMIT_ID` is the same"),
    Variable("CC_APP_NAME", "the app's name"),
    Variable("CC_REVERSE_PROXY_IPS", "from where requests come"),
    Variable("PORT", "the port to listen on: 8080, and 9000 behind a request flow"),
)
COMMON = (
    Variable("APP_FOLDER", "the folder of the repository that holds the app", "its top"),
    Variable("CC_PRE_BUILD_HOOK", "a line for the shell before dependencies are fetched, in every deployment; "
             "its failure is the deployment's. With a build of before it runs on fresh files, which are then dropped"),
    Variable("CC_POST_BUILD_HOOK", "a line for the shell after the build, not when one of before is used; its failure "
             "is the deployment's"),
    Variable("CC_PRE_RUN_HOOK", "a line for the shell before each start of an instance; its failure is the instance's"),
    Variable("CC_RUN_SUCCEEDED_HOOK", "a line for the shell in each instance once the deployment serves; its failure "
             "changes nothing"),
    Variable("CC_RUN_FAILED_HOOK", "a line for the shell in an instance that did not start, for at most a minute"),
    Variable("CC_RUN_COMMAND", "how the app starts; needed by a task", "the runtime's own way, else `web` of Procfile"),
    Variable("CC_TASK", "run CC_RUN_COMMAND once and stop, as `clever create --task` does", "false"),
    Variable(
        "CC_SCALE_TO_ZERO_AFTER",
        "seconds without a request after which the app sleeps until the next one; counts at once (this platform's own)",
    ),
    Variable("CC_WORKER_COMMAND", "a program that runs beside the app in each instance"),
    Variable("CC_WORKER_COMMAND_N", "more of them"),
    Variable("CC_WORKER_RESTART", "what follows a worker's end: `always`, `on-failure` or `no`", "on-failure"),
    Variable("CC_WORKER_RESTART_DELAY", "seconds before a worker is started again", "1"),
    Variable("CC_SCALE_TO_ZERO_AFTER", "seconds without a request after which the app sleeps until the next", "never"),
    Variable("CC_HEALTH_CHECK_PATH", "a path that must answer 200 before an instance serves", "`/`, below 500"),
    *(Variable(f"CC_HEALTH_CHECK_PATH_{number}", "a further path that must answer 200") for number in range(6)),
    Variable("CC_OVERRIDE_BUILDCACHE", "paths separated by colons: only these files of a build are kept"),
    Variable("CC_IGNORE_FROM_BUILDCACHE", "paths separated by colons: these files of a build are not kept; "
             "IGNORE_FROM_BUILDCACHE is the same"),
    Variable("CC_DISABLE_BUILD_CACHE_UPLOAD", "every deployment builds", "false"),
    Variable("CC_CACHE_DEPENDENCIES", "keep installed dependencies from one build to the next; dropped by "
             "`clever restart --without-cache`", "the runtime's choice"),
    Variable("CC_CACHE_DEPENDENCIES_EXTRA_PATHS", "further folders of the app, separated by colons, to keep with them"),
    Variable("CC_GIT_FULL_CLONE", "a `.git` with the commit's history in the build and the instances", "false"),
    Variable("CC_DISABLE_GIT_SUBMODULES", "submodules are not fetched", "false"),
    Variable("CC_SSH_PRIVATE_KEY", "a key for submodules and private dependencies, in builds only"),
    Variable("CC_SSH_PRIVATE_KEY_FILE", "the name of its file in `~/.ssh`", "id_ed25519"),
    Variable("CC_REQUEST_FLOW", "what stands in front of the app in its instances, the outermost first: `varnish`, "
             "`oauth2-proxy`, `custom`; or `block`, `disable`", "`varnish` with a VCL file"),
    Variable("CC_REQUEST_FLOW_CUSTOM", "the command of `custom`, with `@@LISTEN_PORT@@` and `@@FORWARD_PORT@@`"),
    Variable("CC_VARNISH_FILE", "the VCL, from the app's folder or the repository's top", "`/clevercloud/varnish.vcl`"),
    Variable("CC_VARNISH_STORAGE_SIZE", "Varnish's cache", "a quarter of the memory, at most 1G"),
    Variable("HAVRE_PACKAGES", "Debian packages that the app needs besides, with commas or spaces between"),
)  # fmt: skip
UNSUPPORTED = (
    "CC_TROUBLESHOOT", "CC_PREVENT_LOGSCOLLECTION", "CC_MISE_FILE_PATH", "CC_DISABLE_MISE",
    "CC_METRICS_PROMETHEUS_PATH", "CC_METRICS_PROMETHEUS_PORT", "CC_METRICS_PROMETHEUS_USER",
    "CC_METRICS_PROMETHEUS_PASSWORD", "CC_METRICS_PROMETHEUS_RESPONSE_TIMEOUT", "CC_CLAMAV", "CC_CLAMAV_MAXQUEUE",
    "CC_CLAMAV_MAXTHREADS", "CC_VPN_TYPE", "CC_ENABLE_PGPOOL", "CC_ENABLE_MYSQL_PROXYSQL", "CC_FS_BUCKET",
    "CC_FS_BUCKET_N", "CC_HTTP_BASIC_AUTH", "CC_HTTP_BASIC_AUTH_N", "CC_REDIRECTIONIO_PROJECT_KEY",
    "CC_REDIRECTIONIO_FORWARD_PORT", "CC_REDIRECTIONIO_INSTANCE_NAME", "CC_BUILD_COMMAND",
)  # fmt: skip


def notes(names: Iterable[str], own: Collection[str]) -> tuple[str, ...]:
    """Lines for the deployment's log about CC_ variables without effect. own: the runtime's."""
    honoured = (*PLATFORM, *COMMON)
    odd = [
        name
        for name in sorted(names)
        if name.startswith("CC_") and name not in own and not any(each.matches(name) for each in honoured)
    ]
    later = [name for name in odd if any(Variable(each, "").matches(name) for each in UNSUPPORTED)]
    known = sorted({*own, *(each.name for each in COMMON)})
    unknown = [_hinted(name, known) for name in odd if name not in later]
    said = [f"not honoured by this installation: {', '.join(later)}"] if later else []
    return (*said, *([f"not known, and without effect: {', '.join(unknown)}"] if unknown else []))


def _hinted(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
    return f"{name} (did you mean {near[0]}?)" if near else name
