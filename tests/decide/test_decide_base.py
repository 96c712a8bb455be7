from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.base import flavors, ids, names
from havre.base.errors import InvalidError
from havre.base.secret import Secret


def test_a_secret_is_not_shown() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.matches("hunter2") and not secret.matches("hunter3")


@given(st.integers(0, 50))
def test_ids_have_the_form_that_the_command_line_checks(_: int) -> None:
    assert ids.is_id(ids.new_app_id(), "app")
    assert ids.is_id(ids.new_owner_id(), "orga")
    assert not ids.is_id(ids.new_app_id(), "orga")


@pytest.mark.parametrize("text", ["app_", "app_123", "APP_x", "app_00000000-0000-0000-0000-000000000000"])
def test_what_is_no_id_is_a_name(text: str) -> None:
    assert not ids.is_id(text, "app")


@pytest.mark.parametrize(
    ("text", "normal"),
    [("WWW.Example.com", "www.example.com"), ("a.b.", "a.b"), ("*.example.com", "*.example.com"), ("x", "x")],
)
def test_host_names_have_one_form(text: str, normal: str) -> None:
    assert names.host_name(text) == normal


@pytest.mark.parametrize("text", ["", "..", "a..b", "-a.b", "a_b.c", "a b", "../x", "*.com", "a/b", "é.fr", "x" * 64])
def test_what_is_no_host_name_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidError, match=r"www\.example\.com"):
        names.host_name(text)


@given(st.text(max_size=60))
def test_a_slug_is_empty_or_a_host_label(text: str) -> None:
    slug = names.slug(text)
    assert slug == "" or names.host_name(slug) == slug


@pytest.mark.parametrize("name", ["9A", "", "a b", "A=B", "é"])
def test_names_of_variables(name: str) -> None:
    with pytest.raises(InvalidError):
        names.env_name(name)


def test_flavors_are_found_in_any_case_and_ordered() -> None:
    assert flavors.flavor("xs").memory_bytes == 1024**3
    assert [flavors.rank(each.name) for each in flavors.FLAVORS] == list(range(len(flavors.FLAVORS)))
    with pytest.raises(InvalidError, match="pico, nano, XS"):
        flavors.flavor("huge")
