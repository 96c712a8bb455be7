"""Ruby apps: Bundler, a Rack server, rake goals, Sidekiq. The page is README.md."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from havre.apps.runtimes.front import SOCKET, front
from havre.apps.runtimes.plan import Command, Plan, is_true
from havre.apps.runtimes.ruby import gems
from havre.apps.runtimes.tree import Tree
from havre.apps.runtimes.versions import version_check
from havre.base.errors import InvalidError

SERVERS = ("puma", "unicorn", "thin", "webrick", "falcon")
GEMS = "$APP_ROOT/vendor/havre-gems"
VERSION = ("ruby", "-e", "print RUBY_VERSION")
# what the machine and vendor/cache have is enough for many apps: then no index is asked
INSTALL = """
if said=$(bundle install --local --no-cache 2>&1); then
  printf '%s\\n' "$said"
else
  echo "not every gem is here or in vendor/cache: asking the index of gems"
  bundle install --no-cache || { printf 'without the index: %s\\n' "$said"; exit 1; }
fi
"""
_THREADS = re.compile(r"\d+(:\d+)?")


class Ruby:
    slug = "ruby"
    type = "ruby"
    name = "Ruby"
    variant_id = "9395c197-fb6d-4b5e-97c6-cc389140ef26"
    packages: tuple[str, ...] = ("bundler", "ruby")
    programs: tuple[str, ...] = ("ruby", "bundle")
    variables = frozenset(
        {
            "CC_RUBY_VERSION", "CC_RACKUP_SERVER", "CC_RAKEGOALS", "CC_ENABLE_SIDEKIQ", "CC_SIDEKIQ_FILES",
            "CC_PUMA_THREADS", "CC_PUMA_WORKERS",
        }
    )  # fmt: skip

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        if tree.first("Gemfile", "gems.rb") is None:
            raise InvalidError(
                "no Gemfile (or gems.rb) at the top of the repository: a Ruby app names its gems and its server there, "
                'at least `gem "puma"` (is the app in a sub-folder? then set APP_FOLDER)'
            )
        before = front(env)
        check = version_check("Ruby", asked=env.get("CC_RUBY_VERSION", ""), who="CC_RUBY_VERSION", program=VERSION)
        install = Command("bundle install", ("/bin/sh", "-c", INSTALL), quiet=True)
        own = env.get("CC_RUN_COMMAND", "").strip()
        line = own or _serve(tree, env, at=f"unix://{SOCKET}" if before else "tcp://0.0.0.0:$PORT")
        fronted = before is not None and not own
        return Plan(
            runtime=self.slug,
            toolchains=before.toolchains if before is not None and fronted else (),
            build=(*check, install, *_rake(env)),
            start=before.line(line) if before is not None and fronted else line,
            env={**_told(tree), **(before.env if before is not None else {})},
            lock_files=("Gemfile.lock", "gems.locked", "Gemfile", "gems.rb"),
            packages=(*self.packages, *gems.packages(tree)),
            build_packages=gems.headers(tree),
            dependencies=(GEMS.removeprefix("$APP_ROOT/"),),
            workers=_sidekiq(env),
        )


def _told(tree: Tree) -> dict[str, str]:
    """Where gems are, in the build and in an instance: in the release, besides those of the stack."""
    told = {"GEM_HOME": GEMS, "BUNDLE_APP_CONFIG": "/tmp/bundle", "BUNDLE_WITHOUT": "development:test"}
    told |= {"BUNDLE_PREFER_LOCAL": "true", "BUNDLE_JOBS": "2", "BUNDLE_RETRY": "2"}
    told |= {"BUNDLE_USER_CACHE": "/home/bas/.cache/bundle", "BUNDLE_SILENCE_ROOT_WARNING": "true"}
    told |= {"RACK_ENV": "production", "RAILS_ENV": "production", "RAILS_LOG_TO_STDOUT": "true"}
    told |= {"RAILS_SERVE_STATIC_FILES": "true"}
    return told | ({"BUNDLE_FROZEN": "true"} if tree.first("Gemfile.lock", "gems.locked") else {})


def _serve(tree: Tree, env: Mapping[str, str], *, at: str) -> str:
    """The server's line. Raises InvalidError when the app's gems have no such server, or there is no config.ru."""
    server = env.get("CC_RACKUP_SERVER", "").strip() or "puma"
    if server not in SERVERS:
        raise InvalidError(f"CC_RACKUP_SERVER={server} is not one of {', '.join(SERVERS)}")
    if "config.ru" not in tree:
        raise InvalidError("no config.ru at the top of the repository: it says what is served (or set CC_RUN_COMMAND)")
    if server not in gems.named(tree) | gems.locked(tree):
        raise InvalidError(f'the Gemfile has no `gem "{server}"`, which is to serve the app (see CC_RACKUP_SERVER)')
    if server == "puma":
        return f"bundle exec puma --bind {at}{_puma(env)} config.ru"
    if at.startswith("unix:"):
        raise InvalidError("STATIC_FILES_PATH and ENABLE_GZIP_COMPRESSION are for apps served by puma")
    if server == "unicorn":
        return "bundle exec unicorn --listen 0.0.0.0:$PORT --env $RACK_ENV config.ru"
    return f"bundle exec rackup --server {server} --host 0.0.0.0 --port $PORT --env $RACK_ENV config.ru"


def _puma(env: Mapping[str, str]) -> str:
    """CC_PUMA_THREADS (`5` or `1:5`) and CC_PUMA_WORKERS; else what config/puma.rb says, or Puma itself."""
    threads, workers = env.get("CC_PUMA_THREADS", "").strip(), env.get("CC_PUMA_WORKERS", "").strip()
    if threads and not _THREADS.fullmatch(threads):
        raise InvalidError(f"CC_PUMA_THREADS={threads} is not a number or least:most, such as 1:5")
    if workers and not workers.isdigit():
        raise InvalidError(f"CC_PUMA_WORKERS={workers} is not a number")
    told = f" --threads {threads if ':' in threads else f'{threads}:{threads}'}" if threads else ""
    return told + (f" --workers {workers}" if workers else "")


def _rake(env: Mapping[str, str]) -> tuple[Command, ...]:
    goals = [each.strip() for each in env.get("CC_RAKEGOALS", "").split(",") if each.strip()]
    return tuple(Command(f"rake {goal}", ("bundle", "exec", "rake", *shlex.split(goal))) for goal in goals)


def _sidekiq(env: Mapping[str, str]) -> tuple[str, ...]:
    """CC_ENABLE_SIDEKIQ: one Sidekiq, or one for each of CC_SIDEKIQ_FILES (comma-separated)."""
    if not is_true(env.get("CC_ENABLE_SIDEKIQ")):
        return ()
    files = [each.strip() for each in env.get("CC_SIDEKIQ_FILES", "").split(",") if each.strip()]
    if any(".." in PurePosixPath(each).parts for each in files):
        raise InvalidError("CC_SIDEKIQ_FILES are files of the app, such as ./config/sidekiq.yml")
    return tuple(f"bundle exec sidekiq --config {shlex.quote(each)}" for each in files) or ("bundle exec sidekiq",)


RUNTIME = Ruby()
