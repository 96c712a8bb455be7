"""Where OAuth2 Proxy comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from havre.base.errors import UnavailableError
from havre.drivers.toolchains import GO_VERSION, Toolchains, oauth2_proxy


def put_program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ({"Sum": "h1:another="}, 0, "is not the one that we know: its sum is h1:another="),
        ({"Error": "not found: module"}, 1, "could not be fetched: not found: module"),
        ({}, 1, "could not be fetched"),
    ],
)
def test_a_module_that_is_not_the_known_one_is_not_built(tmp_path: Path, answer: object, code: int, says: str) -> None:
    script = f"#!/bin/sh\n[ \"$1\" = mod ] || touch {tmp_path}/built\necho '{json.dumps(answer)}'\nexit {code}\n"
    put_program(tmp_path / f"go-{GO_VERSION}" / "bin" / "go", script)
    with pytest.raises(UnavailableError) as refused:
        oauth2_proxy.oauth2_proxy(tmp_path, {"PATH": "/usr/bin:/bin"})
    assert says in refused.value.message
    assert not (tmp_path / "built").exists()
    assert not (tmp_path / f"oauth2-proxy-{oauth2_proxy.OAUTH2_PROXY_VERSION}").exists()


def test_the_hosts_own_is_taken_where_there_is_one(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "oauth2-proxy"
    put_program(program, "#!/bin/sh\n")
    found = Toolchains(tmp_path / "none", {"PATH": str(tmp_path / "bin")}).ensure_now("oauth2-proxy")
    assert found.source == program and found.target == "/opt/havre/oauth2-proxy/bin/oauth2-proxy"
