"""What a runtime sees of an app's files: names and small texts, read once, so that detection is a pure function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from havre.base.errors import InvalidError

READ_LIMIT_BYTES = 1024**2
DEPLOY_FILES = ("jar", "war", "maven", "gradle", "sbt", "play")
READ = (
    "package.json", "Procfile", "pyproject.toml",
    # node: versions and package managers
    ".nvmrc", ".node-version", ".yarnrc.yml",
    # python
    "requirements.txt", ".python-version",
    # php, ruby
    "composer.json", "Gemfile", "Gemfile.lock", "gems.rb", "gems.locked", ".ruby-version",
    # java, scala
    "pom.xml", "project/build.properties", *(f"clevercloud/{kind}.json" for kind in DEPLOY_FILES),
    # go, rust
    "go.mod", "rust-toolchain", "rust-toolchain.toml",
    # linux, elixir
    "GNUmakefile", "makefile", "Makefile", "mise.toml", ".mise.toml", "mix.exs", "mix.lock",
)  # fmt: skip
READ_ENDINGS = (".cabal",)
INSIDE = ("clevercloud/varnish.vcl",)  # the only names further down that detection asks for


@dataclass(frozen=True)
class Tree:
    """`names` are the paths at the top (folders end in `/`) and those of `INSIDE` that there are; `texts` the content
    of the files that detection reads, some of which are further down."""

    names: frozenset[str]
    texts: Mapping[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.names or name in self.texts

    def first(self, *names: str) -> str | None:
        """The first of `names` that is there."""
        return next((name for name in names if name in self), None)

    def json(self, name: str) -> dict[str, Any]:
        """The object in file `name`. Raises InvalidError saying where it is not JSON."""
        if name not in self.texts:
            raise InvalidError(f"{name} must be a plain file of at most {READ_LIMIT_BYTES // 1024} KiB, not a link")
        try:
            found = json.loads(self.texts[name])
        except ValueError as cause:
            raise InvalidError(f"{name} is not valid JSON: {cause}") from cause
        if not isinstance(found, dict):
            raise InvalidError(f"{name} must hold a JSON object")
        return found


def read_tree(folder: Path) -> Tree:
    """Look at `folder`; links are not followed."""
    names, texts = set(), {}
    for each in folder.iterdir():
        if each.is_symlink():
            names.add(each.name)
        elif each.is_dir():
            names.add(each.name + "/")
        else:
            names.add(each.name)
            if (each.name in READ or each.suffix in READ_ENDINGS) and each.stat().st_size <= READ_LIMIT_BYTES:
                texts[each.name] = each.read_text(errors="replace")
    for name in READ:
        parent, _, _ = name.rpartition("/")
        file = folder / name
        is_below = parent and f"{parent}/" in names and not file.is_symlink() and file.is_file()
        if is_below and file.stat().st_size <= READ_LIMIT_BYTES:
            texts[name] = file.read_text(errors="replace")
    folders = {each.removesuffix("/") for each in names if each.endswith("/")}
    names |= {each for each in INSIDE if each.split("/")[0] in folders and (folder / each).is_file()}
    return Tree(frozenset(names), texts)
