"""Which Debian packages bring the gems that a Ruby app names, and what those that are compiled need."""

from __future__ import annotations

import re

from havre.apps.runtimes.tree import Tree

# gems that Debian has, most of them as ruby-NAME; Bundler takes them where the lock file allows their version
DEBIAN = (
    "activerecord", "activesupport", "addressable", "aws-sdk-s3", "bcrypt", "bootsnap", "builder", "bunny",
    "carrierwave", "coffee-rails", "concurrent-ruby", "connection_pool", "dalli", "devise", "dotenv", "erubi", "excon",
    "faraday", "globalid", "grape", "haml", "httparty", "i18n", "image_processing", "jbuilder", "json", "jwt",
    "kaminari", "kramdown", "lograge", "loofah", "mail", "mini_magick", "mongo", "msgpack", "multi_json", "mustermann",
    "mysql2", "nio4r", "nokogiri", "oj", "ox", "paper_trail", "pg", "puma", "pundit", "rack", "rack-attack",
    "rack-cors", "rack-protection", "rack-timeout", "rails", "rake", "redcarpet", "redis", "rest-client", "sass-rails",
    "sassc", "sentry-ruby", "sequel", "sidekiq", "sinatra", "sinatra-contrib", "slim", "sprockets", "sqlite3", "thin",
    "tilt", "turbolinks", "tzinfo", "unicorn", "webrick", "websocket-driver", "will_paginate",
)  # fmt: skip
PLAIN = ("puma", "rake", "thin", "unicorn")  # packages of the gem's own name
HEADERS = {"mysql2": "default-libmysqlclient-dev", "pg": "libpq-dev", "sqlite3": "libsqlite3-dev"}
HEADERS |= {"nokogiri": "libxml2-dev", "ffi": "libffi-dev", "psych": "libyaml-dev", "charlock_holmes": "libicu-dev"}
LIBRARIES = {"mysql2": "libmariadb3", "pg": "libpq5", "sqlite3": "libsqlite3-0", "image_processing": "imagemagick"}
LIBRARIES |= {"mini_magick": "imagemagick", "rmagick": "imagemagick", "ruby-vips": "libvips42"}
_GEM = re.compile(r"""^[ \t]*gem[ (]+["']([\w.-]+)["']""", re.M)
_LOCKED = re.compile(r"^ {4}([\w.-]+) \(", re.M)


def named(tree: Tree) -> frozenset[str]:
    """The gems that the app's own list names."""
    return frozenset(_GEM.findall(tree.texts.get("Gemfile", "") + "\n" + tree.texts.get("gems.rb", "")))


def locked(tree: Tree) -> frozenset[str]:
    """The gems of the lock file, with what they need."""
    return frozenset(_LOCKED.findall(tree.texts.get("Gemfile.lock", "") + "\n" + tree.texts.get("gems.locked", "")))


def packages(tree: Tree) -> tuple[str, ...]:
    """What an instance needs for the app's gems."""
    gems = named(tree)
    of_gems = [name if name in PLAIN else f"ruby-{name.replace('_', '-')}" for name in gems if name in DEBIAN]
    return tuple(sorted({*of_gems, *(LIBRARIES[name] for name in gems | locked(tree) if name in LIBRARIES)}))


def headers(tree: Tree) -> tuple[str, ...]:
    """What a build needs to compile gems."""
    gems = named(tree) | locked(tree)
    return ("libyaml-dev", "ruby-dev", "zlib1g-dev", *sorted({HEADERS[name] for name in gems if name in HEADERS}))
