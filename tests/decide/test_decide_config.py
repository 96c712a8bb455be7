from __future__ import annotations

from pathlib import Path

import pytest

from havre.base.errors import InvalidError
from havre.kernel import config


def test_defaults_need_no_file() -> None:
    assert config.load(None).edge.https_port == 8443
    assert config.load(None).origin == "https://localhost:8443"


def test_a_file_and_then_the_options(tmp_path: Path) -> None:
    file = tmp_path / "havre.toml"
    file.write_text('[edge]\nhttps_port = 9443\n[build.packages]\nindex_url = "https://mirror.test/simple"\n')
    loaded = config.load(file, {"edge.http_port": 9080, "edge.bind": None})
    assert (loaded.edge.https_port, loaded.edge.http_port, loaded.edge.bind) == (9443, 9080, "127.0.0.1")
    assert loaded.build.packages.index_url == "https://mirror.test/simple"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[edge]\nhttp_prot = 1\n", "did you mean edge.http_port"),
        ("[edg]\n", "did you mean edge"),
        ('[edge]\nhttp_port = "x"\n', "edge.http_port is a int"),
        ("[edge\n", "not TOML"),
        ("edge = 3\n", r"such as \[edge\]"),
        ("[build.packages]\nenvironment = 3\n", "table of texts"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "havre.toml"
    file.write_text(text)
    with pytest.raises(InvalidError, match=says) as caught:
        config.load(file)
    assert "havre.toml" in caught.value.message


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="cannot be read"):
        config.load(tmp_path / "none.toml")


def test_the_run_directory_is_short(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 80) / "a path with a space"
    paths = config.paths_of(deep, {})
    assert len(str(paths.app_sockets)) < 60
    assert config.paths_of(tmp_path, {}).run != paths.run
