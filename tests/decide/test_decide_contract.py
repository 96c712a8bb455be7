"""The contract between a repository, its variables and a deployment: what is asked for, what is refused and why."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.apps import build, cache, contract, keys, runtimes, sources
from havre.apps.runtimes import Plan, Tree, procfile
from havre.apps.runtimes.dependencies import dependency_commands
from havre.base.errors import InvalidError
from havre.drivers.git import Report
from havre.kernel.config import Config
from tests.room.build_rig import an_app

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----"


# variables


def test_variables_without_effect_are_named_apart_from_those_that_nobody_knows() -> None:
    env = [
        "CC_WORKER_COMMAND_12",
        "CC_FS_BUCKET_3",
        "CC_TROUBLESHOOT",
        "CC_PRE_BIULD_HOOK",
        "CC_MINE",
        "CC_OTHER",
        "FREE",
    ]
    assert contract.notes(env, {"CC_MINE"}) == (
        "not honoured by this installation: CC_FS_BUCKET_3, CC_TROUBLESHOOT",
        "not known, and without effect: CC_OTHER, CC_PRE_BIULD_HOOK (did you mean CC_PRE_BUILD_HOOK?)",
    )


def test_what_the_platform_sets_is_no_stranger_when_people_give_it_back() -> None:
    assert contract.notes([each.name for each in contract.PLATFORM], ()) == ()


@pytest.mark.parametrize(
    ("name", "changes"),
    [("CC_WORKER_COMMAND_3", False), ("CC_PRE_RUN_HOOK", False), ("CC_PRE_BUILD_HOOK", True), ("CC_RUN_COMMAND", True)],
)
def test_a_build_is_used_again_when_only_what_runs_has_changed(name: str, changes: bool) -> None:
    before, after = (cache.release_key("c", env, "node") for env in ({}, {name: "x"}))
    assert (before != after) is changes
    assert cache.release_key("c", {"CC_RUN_COMMAND": "x"}, "node", is_task=True) == cache.release_key(
        "c", {}, "node", is_task=True
    )


def test_a_builds_limits_are_its_flavors_when_it_is_built_apart_and_else_the_installations() -> None:
    config = Config()
    assert build.sizes(an_app("node", build_flavor="M"), config) == (config.build.memory_mib, config.build.cpus)
    assert build.sizes(an_app("node", build_flavor="L", separate_build=True), config) == (8192, 6.0)


# the start of an app


def tree(**texts: str) -> Tree:
    named = {name.replace("_json", ".json"): text for name, text in texts.items()}
    return Tree(frozenset(named), named)


def test_an_app_that_says_nowhere_how_it_starts_is_started_by_its_procfile() -> None:
    files = tree(package_json='{"name": "x"}', Procfile="# mine\nweb: node app.js\nworker: node work.js\nrelease: x\n")
    plan = runtimes.detect("node", files, {}, memory_mib=1024)
    assert plan.start == "node app.js"
    assert "started by web of the Procfile; not started: worker (CC_WORKER_COMMAND_0, … start workers)" in plan.notes


def test_what_the_contract_says_goes_before_the_procfile() -> None:
    files = tree(package_json='{"name": "x", "scripts": {"start": "node own.js"}}', Procfile="web: node app.js")
    assert runtimes.detect("node", files, {}, memory_mib=1024).start == "node own.js"
    assert runtimes.detect("node", files, {"CC_RUN_COMMAND": "node it.js"}, memory_mib=1024).start == "node it.js"


def test_a_procfile_does_not_help_an_app_that_lacks_something_else() -> None:
    with pytest.raises(InvalidError, match=r"no package\.json"):
        runtimes.detect("node", tree(Procfile="web: node app.js"), {}, memory_mib=1024)


def test_a_procfile_is_read_line_by_line() -> None:
    assert procfile.processes("web:  a b \nnothing\n: x\nmy-worker: c: d\nempty:\n") == {
        "web": "a b",
        "my-worker": "c: d",
    }


# dependencies


@pytest.mark.parametrize(
    ("env", "keeps", "paths"),
    [
        ({}, False, None),
        ({}, True, ["./node_modules"]),
        ({"CC_CACHE_DEPENDENCIES": "false"}, True, None),
        ({"CC_CACHE_DEPENDENCIES": "true"}, False, ["./node_modules"]),
        ({"CC_CACHE_DEPENDENCIES": "true", "CC_CACHE_DEPENDENCIES_EXTRA_PATHS": "/a/b:c"}, False,
         ["./node_modules", "./a/b", "./c"]),
    ],
)  # fmt: skip
def test_dependencies_are_kept_when_asked_or_when_the_runtime_says_so(
    env: dict[str, str], keeps: bool, paths: list[str] | None
) -> None:
    plan = Plan("node", (), (), "", dependencies=("node_modules",), keeps_dependencies=keeps)
    before, after = dependency_commands(plan, env)
    assert [list(each.argv[4:]) for each in (*before, *after)] == ([paths, paths] if paths else [])


def test_a_dependency_outside_of_the_app_is_refused() -> None:
    with pytest.raises(InvalidError, match="leads outside"):
        dependency_commands(
            Plan("node", (), (), ""), {"CC_CACHE_DEPENDENCIES": "1", "CC_CACHE_DEPENDENCIES_EXTRA_PATHS": "../x"}
        )


# the key


@pytest.mark.parametrize("text", [KEY, KEY + "\n\n", KEY.replace("\n", "\r\n"), KEY.replace("\n", "\\n")])
def test_a_key_is_taken_as_people_paste_it(tmp_path: Path, text: str) -> None:
    found = keys.key_of({"CC_SSH_PRIVATE_KEY": text}, tmp_path)
    assert found is not None
    assert (found.name, found.text.reveal()) == ("id_ed25519", KEY)
    assert "c2VjcmV0" not in repr(found)


def test_a_key_may_be_a_file_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "clevercloud").mkdir()
    (tmp_path / "clevercloud" / "ssh.json").write_text('{"privateKeyFile": "keys/mine"}')
    with pytest.raises(InvalidError, match=r"ssh\.json names 'keys/mine', which is not a file"):
        keys.key_of({}, tmp_path)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "mine").symlink_to("/etc/passwd")
    with pytest.raises(InvalidError, match="which is not a file"):
        keys.key_of({}, tmp_path)
    (tmp_path / "keys" / "mine").unlink()
    (tmp_path / "keys" / "mine").write_text(KEY)
    found = keys.key_of({"CC_SSH_PRIVATE_KEY_FILE": "id_rsa"}, tmp_path)
    assert found is not None and (found.name, found.text.reveal()) == ("id_rsa", KEY)


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({"CC_SSH_PRIVATE_KEY": "c2VjcmV0"}, "CC_SSH_PRIVATE_KEY is not a private key"),
        ({"CC_SSH_PRIVATE_KEY": KEY, "CC_SSH_PRIVATE_KEY_FILE": "../x"}, "not the name of a file"),
        ({"CC_SSH_PRIVATE_KEY": KEY, "CC_SSH_PRIVATE_KEY_FILE": "config"}, "not the name of a file"),
    ],
)
def test_what_is_no_key_is_refused_without_its_text(tmp_path: Path, env: dict[str, str], word: str) -> None:
    with pytest.raises(InvalidError, match=word) as refused:
        keys.key_of(env, tmp_path)
    assert "c2VjcmV0" not in str(refused.value)


def test_an_app_without_a_key_has_none(tmp_path: Path) -> None:
    assert keys.key_of({}, tmp_path) is None


# submodules


@pytest.mark.parametrize(
    "url", ["https://example.test/a.git", "ssh://git@example.test:22/a", "git@example.test:a/b.git"]
)
def test_submodules_come_over_https_and_ssh(url: str) -> None:
    sources.check_submodules({"a": url})


@pytest.mark.parametrize(
    "url",
    ["file:///etc", "ext::sh -c id", "/etc", "../a.git", "./a", "http://example.test/a", "git://example.test/a", "-u",
     "fd::17", "a/b:c"],
)  # fmt: skip
def test_no_other_address_is_a_submodules(url: str) -> None:
    with pytest.raises(InvalidError, match=r"submodule lib: .* is not fetched: only https:// and ssh"):
        sources.check_submodules({"lib": url})


# git's report of a push


def packet(band: int, content: bytes) -> bytes:
    return b"%04x%c%s" % (len(content) + 5, band, content)


def line(content: bytes) -> bytes:
    return b"%04x%s" % (len(content) + 4, content)


REFUSED = line(b"unpack ok\n") + line(b"ng refs/heads/x pre-receive hook declined\n") + b"0000"


def told(answer: bytes, *, reason: str, cuts: list[int]) -> bytes:
    report = Report(lambda too_large: "too large" if too_large else reason)
    edges = [0, *sorted({min(cut, len(answer)) for cut in cuts}), len(answer)]
    parts = [report.feed(answer[start:end]) for start, end in pairwise(edges)]
    return b"".join([*parts, report.end()])


@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_a_refusal_has_our_reason_however_the_answer_is_cut(cuts: list[int]) -> None:
    answer = packet(2, b"said by a hook\n") + packet(1, REFUSED[:30]) + packet(1, REFUSED[30:]) + b"0000"
    report = line(b"unpack ok\n") + line(b"ng refs/heads/x only master\n") + b"0000"
    assert (
        told(answer, reason="only\nmaster", cuts=cuts) == packet(2, b"said by a hook\n") + packet(1, report) + b"0000"
    )
    assert told(answer, reason="", cuts=cuts).endswith(packet(1, REFUSED) + b"0000")


def test_a_pack_that_git_found_too_large_is_told_so() -> None:
    report = line(b"unpack unpack-objects abnormal exit\n") + line(b"ng refs/heads/master unpacker error\n") + b"0000"
    answer = packet(2, b"fatal: pack exceeds maximum allowed size\n") + packet(1, report) + b"0000"
    assert b"ng refs/heads/master too large\n" in told(answer, reason="", cuts=[])


@given(answer=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=4))
def test_whatever_is_no_report_goes_through_as_it_is(answer: bytes, cuts: list[int]) -> None:
    """A client without bands, or one that talks nonsense."""
    plain = line(b"unpack ok\n") + answer
    assert told(plain, reason="no", cuts=cuts) == plain
