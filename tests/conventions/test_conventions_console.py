"""What each page of the console weighs at first, in both languages, with all the sentences that it may have to tell: as it
is built, each file once, compressed as a browser may get it at worst. A browser counts the same in tests/system."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.conventions.sentences import ROOT

PAGES, WEB = ROOT / "console" / "src" / "pages", ROOT / "src" / "havre" / "console" / "web"
ASSETS = WEB / "assets"
MOST_KB, MOST_WITH_CHARTS_KB = 110, 150
ALWAYS = ("theme.js", "favicon.svg")
TOLD = ROOT / "console" / "src" / "kit" / "told.ts"


@cache
def built(name: str, ending: str = "js") -> Path:
    """The one file of that name, whatever its hash."""
    (found,) = (each for each in ASSETS.glob(f"{name}-*.{ending}") if re.fullmatch(r".{8}", each.stem[len(name) + 1 :]))
    return found


@cache
def needs(file: Path) -> frozenset[Path]:
    """The file and all that it imports at once."""
    named = re.findall(r'(?:from|import)"\./([^"]+)"', file.read_text())
    return frozenset({file}).union(*(needs(ASSETS / name) for name in named if ASSETS / name != file))


def size(file: Path) -> int:
    packed = file.with_name(file.name + ".gz")
    return (packed if packed.exists() else file).stat().st_size


def frame(language: str) -> set[Path]:
    """What comes with every page."""
    files = {WEB / "index.html", *(ASSETS / name for name in ALWAYS)}
    files |= {built("index", "css"), built("figtree-latin-wght-normal", "woff2")}
    for name in ("index", "shell", language, f"translations.{language}"):
        files |= needs(built(name))
    return files


def shown(page: str, language: str) -> set[Path]:
    forms = {built(f"forms.{language}")} if re.search(r"cc/(environment|members|people)'", source(page)) else set()
    return frame(language) | needs(built(page)) | forms


def tables(page: str) -> set[Path]:
    """Of the subjects that the page tells of."""
    listed = dict(re.findall(r"^  (\w+): \[(.*)\],$", TOLD.read_text(), re.MULTILINE))
    found = re.findall(r"\b(?:told|canTell)\([^']*'(\w+)'\)", source(page))
    names = {name for subject in found for name in re.findall(r"'(\w+)'", listed[subject])}
    names |= {"audit"} if re.search(r"told(Action|Event)\(", source(page)) else set()
    return {built(f"{name}.fr") for name in names}


def source(page: str) -> str:
    """Of a page and of the parts of pages that it takes in."""
    text = (PAGES / f"{page}.ts").read_text()
    return text + "".join(source(name) for name in re.findall(r"from '\./([\w-]+)'", text))


NAMES = sorted(set(re.findall(r"import\('\./pages/([\w-]+)'\)", (PAGES.parent / "main.ts").read_text())))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("page", NAMES)
def test_no_page_weighs_more_than_it_may(page: str, language: str) -> None:
    told, refused = (tables(page), {built("refusals.fr")}) if language == "fr" else (set(), set())
    heaviest = max(sum(map(size, shown(page, language) | more)) for more in (told, refused)) / 1000
    assert heaviest <= (MOST_WITH_CHARTS_KB if page == "overview" else MOST_KB), f"{page}: {heaviest:.1f} kB"
