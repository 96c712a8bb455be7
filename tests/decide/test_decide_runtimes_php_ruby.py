"""PHP and Ruby apps: packages of the stack, installers, servers, workers."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from havre.apps import runtimes
from havre.apps.runtimes import Plan, Tree
from havre.base.errors import InvalidError

GEMFILE = 'source "https://rubygems.org"\nruby "~> 3.1"\ngem "puma", "~> 5"\ngem(\'will_paginate\')\n  gem "pg"\n'
LOCK = "GEM\n  specs:\n    thin (1.8.1)\n      rack (>= 1)\n    nokogiri (1.15.4)\n"


def php(env: Mapping[str, str] | None = None, composer: object = None, *names: str) -> Plan:
    texts = {} if composer is None else {"composer.json": json.dumps(composer)}
    tree = Tree(frozenset({*texts, *names, "public/", "index.php"}), texts)
    return runtimes.detect("php", tree, env or {}, memory_mib=1024)


def ruby(env: Mapping[str, str] | None = None, *, gemfile: str = GEMFILE, lock: str = "", config: bool = True) -> Plan:
    texts = {"Gemfile": gemfile} | ({"Gemfile.lock": lock} if lock else {})
    tree = Tree(frozenset({*texts, *(["config.ru"] if config else [])}), texts)
    return runtimes.detect("ruby", tree, env or {}, memory_mib=1024)


@pytest.mark.parametrize(
    ("asked", "start"),
    [
        ("", "with-php together serve-fpm 'serve-apache fpm'"),
        ("proxy_fcgi", "with-php together serve-fpm 'serve-apache fpm'"),
        ("fastcgi", "with-php together serve-fpm 'serve-apache fpm'"),
        ("mod_php", "with-php serve-apache module"),
    ],
)
def test_php_runs_as_the_implementation_says(asked: str, start: str) -> None:
    plan = php({"CC_CGI_IMPLEMENTATION": asked})
    assert plan.start == start
    assert ("libapache2-mod-php" in plan.packages) == (asked == "mod_php")


def test_an_implementation_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidError, match="proxy_fcgi, fastcgi, mod_php"):
        php({"CC_CGI_IMPLEMENTATION": "cgi"})


def test_composer_installs_without_dev_packages_and_scripts_unless_told_otherwise() -> None:
    plan = php({}, {})
    assert plan.build[-1].argv == (
        "composer", "install", "--no-interaction", "--no-progress", "--no-scripts", "--no-dev",
    )  # fmt: skip
    assert plan.build_packages == ("composer",)
    assert "--no-dev" not in php({"CC_PHP_DEV_DEPENDENCIES": "install"}, {}).build[-1].argv
    own = php({"CC_PHP_COMPOSER_FLAGS": "-n 'a b'"}, {}, "composer.phar")
    assert own.build[-1].argv == ("php", "composer.phar", "install", "-n", "a b")
    assert php().build == ()


def test_extensions_come_from_composer_json_and_variables() -> None:
    composer = {"require": {"ext-imagick": "*", "ext-pdo_pgsql": "*", "ext-json": "*", "slim/slim": "^3"}}
    found = php({"ENABLE_MEMCACHED": "true", "ENABLE_YAML": "false"}, composer).packages
    assert {"php-imagick", "php-pgsql", "php-memcached", "php-mbstring"} <= set(found)
    assert not {"php-json", "php-yaml", "php-pdo_pgsql"} & set(found)


def test_libraries_of_debian_are_named_in_composer_json() -> None:
    assert "php-twig" in php({}, {"extra": {"havre": {"packages": ["php-twig"]}}}).packages
    for bad in (["netcat"], "php-twig", ["php-twig; id"]):
        with pytest.raises(InvalidError, match=r"extra\.havre\.packages"):
            php({}, {"extra": {"havre": {"packages": bad}}})


def test_a_relay_of_mail_brings_what_sends_it() -> None:
    assert "msmtp" in php({"CC_MTA_SERVER_HOST": "mail.example.test"}).packages
    assert "msmtp" not in php().packages


def test_versions_are_checked_before_anything_else() -> None:
    plan = php({"CC_PHP_VERSION": "8.2", "CC_COMPOSER_VERSION": "2"}, {})
    assert [command.name for command in plan.build] == ["PHP 8.2", "Composer 2", "composer install"]
    assert ruby({"CC_RUBY_VERSION": "3.1"}).build[0].name == "Ruby 3.1"


def test_puma_serves_a_rack_app() -> None:
    plan = ruby({"CC_PUMA_THREADS": "1:5", "CC_PUMA_WORKERS": "2"})
    assert plan.start == "bundle exec puma --bind tcp://0.0.0.0:$PORT --threads 1:5 --workers 2 config.ru"
    assert [command.name for command in plan.build] == ["bundle install"]


def test_gems_that_debian_has_come_in_the_stack() -> None:
    plan = ruby()
    assert plan.packages == ("bundler", "ruby", "libpq5", "puma", "ruby-pg", "ruby-will-paginate")
    assert {"ruby-dev", "libpq-dev"} <= set(plan.build_packages)


def test_a_lock_file_is_not_changed_and_its_gems_are_known() -> None:
    plan = ruby({"CC_RACKUP_SERVER": "thin"}, lock=LOCK)
    assert plan.env["BUNDLE_FROZEN"] == "true" and "BUNDLE_FROZEN" not in ruby().env
    assert plan.start.startswith("bundle exec rackup --server thin --host 0.0.0.0 --port $PORT")
    assert "libxml2-dev" in plan.build_packages


def test_a_server_that_is_no_gem_of_the_app_is_named() -> None:
    with pytest.raises(InvalidError, match=r'no `gem "unicorn"`'):
        ruby({"CC_RACKUP_SERVER": "unicorn"})
    with pytest.raises(InvalidError, match="puma, unicorn, thin"):
        ruby({"CC_RACKUP_SERVER": "apache"})


def test_a_ruby_app_says_what_is_served() -> None:
    with pytest.raises(InvalidError, match=r"config\.ru"):
        ruby(config=False)
    assert ruby({"CC_RUN_COMMAND": "ruby server.rb"}, config=False).start == "ruby server.rb"


def test_goals_of_rake_run_after_the_gems_are_there() -> None:
    plan = ruby({"CC_RAKEGOALS": "db:migrate, assets:precompile"})
    assert [command.argv[-1] for command in plan.build[1:]] == ["db:migrate", "assets:precompile"]


def test_sidekiq_is_a_worker_for_each_file() -> None:
    env = {"CC_ENABLE_SIDEKIQ": "true"}
    assert ruby(env).workers == ("bundle exec sidekiq",)
    files = env | {"CC_SIDEKIQ_FILES": "./config/a.yml,./config/b.yml"}
    assert ruby(files).workers == (
        "bundle exec sidekiq --config ./config/a.yml", "bundle exec sidekiq --config ./config/b.yml",
    )  # fmt: skip
    assert ruby({"CC_SIDEKIQ_FILES": "./a.yml"}).workers == ()


def test_static_files_beside_ruby_need_puma() -> None:
    env = {"STATIC_FILES_PATH": "public"}
    assert ruby(env).start.startswith("together 'bundle exec puma --bind unix:///tmp/app.sock")
    with pytest.raises(InvalidError, match="puma"):
        ruby(env | {"CC_RACKUP_SERVER": "thin"}, lock=LOCK)
