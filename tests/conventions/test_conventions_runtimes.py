"""Every kind of app has its page, its catalogue entry and an example that proves it; siblings do not know each other."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest

from havre.api import render
from havre.apps import runtimes
from havre.apps.runtimes import Runtime
from tests.room.runtime_suite import EXAMPLES, ROWS

FOLDER = Path(runtimes.__file__).parent
SIBLINGS = sorted(each.parent.name for each in FOLDER.glob("*/__init__.py"))
# `clever create -t`: type and id of the variant, as the public catalogue of the contract has them
CONTRACT = {
    "docker": ("docker", "d5ff282b-dd1a-4c9a-a0c8-c9524b1370e9"),
    "dotnet": ("dotnet", "08af642a-e48c-40d0-9fc0-124ee9dc0535"),
    "elixir": ("erlang", "9e23b9a8-d40e-41ad-9739-5d31b81e200e"),
    "go": ("go", "b7e506a9-241e-49b9-85d4-df74d85e0178"),
    "gradle": ("java", "5163834d-b343-4006-bfdb-ece9d30fbb51"),
    "haskell": ("haskell", "558bab39-508c-4a04-96ca-d1fb4d6a60b4"),
    "jar": ("java", "879bf2c4-54b2-4b84-83f6-704d90c08062"),
    "maven": ("java", "af524b51-b5a8-4b7f-bd60-d80fa3925b34"),
    "node": ("node", "395103fb-d6e2-4fdd-93bc-bc99146f1ea2"),
    "php": ("php", "ca6c9c85-63f8-4075-b136-583d3f581a52"),
    "play1": ("java", "3112d076-1e33-4f06-9efe-9a766619a2ba"),
    "play2": ("java", "ea6625a2-3ff6-4662-b724-280fc2f400b9"),
    "python": ("python", "049c84e1-56a4-4a6a-8940-7ba7e0f57c61"),
    "ruby": ("ruby", "9395c197-fb6d-4b5e-97c6-cc389140ef26"),
    "rust": ("rust", "5036303b-a732-489a-9e50-56233eeb1752"),
    "sbt": ("java", "75eccbb4-3477-4846-95c5-7471a6bde653"),
    "static-apache": ("php", "3b8cc37b-b874-4169-b64e-7eace63dfb7b"),
    "war": ("java", "05d5db48-b35d-4bf4-b41b-3d6c25f48b69"),
}


def page(runtime: Runtime) -> str:
    module = type(runtime).__module__.removeprefix("havre.apps.runtimes.").partition(".")[0]
    return (FOLDER / module / "README.md").read_text()


@pytest.mark.parametrize("runtime", runtimes.RUNTIMES.values(), ids=lambda each: each.slug)
def test_a_page_names_every_variable_that_is_honoured_and_what_proves_it(runtime: Runtime) -> None:
    text = page(runtime)
    assert [name for name in sorted(runtime.variables) if name not in text] == []
    assert re.search(r"examples/[\w-]+", text), "no example"
    assert [name for name in re.findall(r"examples/([\w-]+)", text) if not (EXAMPLES / name).is_dir()] == []


@pytest.mark.parametrize("name", SIBLINGS)
def test_siblings_do_not_know_each_other(name: str) -> None:
    own = f"havre.apps.runtimes.{name}"
    others = [each for each in SIBLINGS if each != name]
    code = "\n".join(each.read_text() for each in (FOLDER / name).rglob("*.py"))
    known = re.findall(r"from havre\.apps\.runtimes\.(\w+)[\w.]* import|from havre\.apps\.runtimes import (.+)", code)
    named = {word for pair in known for part in pair for word in re.findall(r"\w+", part)}
    assert [each for each in others if each in named] == [], own


@pytest.mark.parametrize("runtime", runtimes.RUNTIMES.values(), ids=lambda each: each.slug)
def test_the_catalogue_has_the_contracts_slug_type_and_variant(runtime: Runtime) -> None:
    product = render.product(runtime)
    expected = CONTRACT.get(runtime.slug, (runtime.slug, str(uuid.UUID(runtime.variant_id))))
    assert (product.type, product.variant.id) == expected
    assert (product.variant.slug, product.variant.deployType) == (runtime.slug, product.type)


def test_no_two_variants_have_one_id_and_a_type_alone_means_its_first() -> None:
    ids = [each.variant_id for each in runtimes.RUNTIMES.values()]
    assert len(ids) == len(set(ids))
    firsts = {each.type: each.slug for each in reversed(runtimes.RUNTIMES.values())}
    assert firsts["php"] == "php"


@pytest.mark.parametrize("slug", runtimes.RUNTIMES)
def test_every_kind_of_app_has_an_example_in_the_suite(slug: str) -> None:
    assert [row.example for row in ROWS if row.runtime == slug], f"no row of {slug}"


def test_every_example_of_the_suite_has_its_page() -> None:
    assert [row.example for row in ROWS if not (EXAMPLES / row.example / "README.md").exists()] == []
