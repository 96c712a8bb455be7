"""git behind HTTP with the real client, its hooks, and work trees."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from havre.base.errors import ExhaustedError, InvalidError, NotFoundError, UnavailableError
from havre.drivers import git
from havre.drivers.git import repository
from tests.driver.git_rig import GitRig, commit, new_clone, run, running

pytestmark = pytest.mark.anyio
FILES: dict[str, str | bytes] = {"server.js": "console.log(1)\n", "public/a b.txt": "hello\n"}
MASTER = "refs/heads/master"


@pytest.fixture
def base() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hv g"))  # short, for the socket; with a space, on purpose
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def rig(base: Path) -> AsyncIterator[GitRig]:
    async with running(base) as made:
        yield made


async def until(claim: Any, what: str) -> None:
    with anyio.fail_after(20):
        while not claim():
            await anyio.sleep(0.01)
    assert claim(), what


def processes_of(mark: str) -> list[int]:
    """Processes with `mark` in their environment, which is how git and its hooks know their repository."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (each / "environ").read_bytes() and int(each.name) != os.getpid():
                found.append(int(each.name))
        except OSError:
            continue
    return found


async def test_a_push_is_stored_after_both_hooks_were_asked(rig: GitRig) -> None:
    clone = rig.base / "clone"
    made = await new_clone(clone, FILES)
    pushed = await run(clone, "push", rig.url, "HEAD:refs/heads/master")
    assert await git.head(rig.git_dir) == made
    assert [each["hook"] for each in rig.asked] == ["pre-receive", "post-receive"]
    assert rig.asked[0]["updates"] == [["0" * 40, made, "refs/heads/master"]]
    assert rig.asked[0]["push"] == "nonce"
    assert "heard post-receive" in pushed.stderr


async def test_the_branch_has_two_names_and_a_push_by_either_moves_it(rig: GitRig) -> None:
    clone = rig.base / "clone"
    first = await new_clone(clone, FILES)
    await git.set_branch(rig.git_dir, "release/2")
    await run(clone, "push", rig.url, "HEAD:refs/heads/release/2")
    assert await git.head(rig.git_dir) == first
    second = await commit(clone, {"more": "\n"})
    await run(clone, "push", rig.url, "HEAD:refs/heads/master")
    assert await git.head(rig.git_dir) == second
    assert {each.id for each in await git.commits(rig.git_dir, limit=9)} == {first, second}
    for name in ("main", "main", "release", "master"):
        await git.set_branch(rig.git_dir, name)
        seen = (await run(clone, "ls-remote", "--heads", rig.url)).stdout.split()
        assert dict(zip(seen[1::2], seen[::2], strict=True)) == dict.fromkeys({MASTER, f"refs/heads/{name}"}, second)


async def test_a_repository_that_is_put_back_has_its_branch_by_both_names_again(rig: GitRig) -> None:
    clone = rig.base / "clone"
    await new_clone(clone, FILES)
    await git.set_branch(rig.git_dir, "main")
    await run(clone, "push", rig.url, "HEAD:refs/heads/main")
    bundle, other = rig.base / "bundle", rig.base / "other.git"
    assert git.write_bundle(rig.git_dir, bundle)
    git.read_bundle(bundle, other)
    await git.set_branch(other, "main")
    made = await commit(clone, {"more": "\n"})
    await run(clone, "push", "-q", str(other), "HEAD:refs/heads/main")
    assert await git.head(other) == made


async def test_a_large_push_in_chunks_arrives_and_the_probe_before_it_asks_no_hook(rig: GitRig) -> None:
    clone = rig.base / "clone"
    made = await new_clone(clone, {"blob": os.urandom(3 * 1024**2)})
    await run(clone, "push", rig.url, "HEAD:refs/heads/master")
    posts = [
        headers for method, path, headers in rig.requests if path.endswith("/git-receive-pack") and method == "POST"
    ]
    assert len(posts) == 2 and posts[0]["content-length"] == "4"
    assert posts[1]["transfer-encoding"] == "chunked"
    assert len(rig.asked) == 2
    assert await git.head(rig.git_dir) == made


async def test_what_was_pushed_can_be_cloned_and_fetched_with_a_compressed_request(rig: GitRig) -> None:
    clone = rig.base / "clone"
    await new_clone(clone, FILES)
    for number in range(60):
        await commit(clone, {f"file{number}": f"{number}\n"})
    await run(clone, "push", rig.url, "HEAD:refs/heads/master")
    await run(rig.base, "clone", "-q", rig.url, "second")
    assert (rig.base / "second" / "public" / "a b.txt").read_text() == "hello\n"
    for number in range(300):
        await run(rig.base / "second", "tag", f"t{number}", f"HEAD~{number % 60}")
    last = await commit(clone, {"last": "one\n"})
    await run(clone, "push", rig.url, "HEAD:refs/heads/master")
    await run(rig.base / "second", "fetch", "-q", "origin")
    assert (await run(rig.base / "second", "rev-parse", "origin/master")).stdout.strip() == last
    assert any(headers.get("git-protocol") == "version=2" for _, _, headers in rig.requests)


async def test_a_push_that_the_hook_refuses_changes_nothing_and_says_why(rig: GitRig) -> None:
    async def refuse(question: dict[str, Any]) -> tuple[bool, list[str]]:
        return False, ["the repository would take too much"]

    rig.decide = refuse  # type: ignore[method-assign]
    clone = rig.base / "clone"
    await new_clone(clone, FILES)
    refused = await run(clone, "push", rig.url, "HEAD:refs/heads/master", check=False)
    assert refused.returncode != 0
    assert "the repository would take too much" in refused.stderr
    assert "pre-receive hook declined" in refused.stderr
    assert await git.head(rig.git_dir) is None
    assert [each["hook"] for each in rig.asked] == ["pre-receive"]


async def test_hooks_of_the_repository_itself_never_run(rig: GitRig) -> None:
    own = rig.git_dir / "hooks" / "pre-receive"
    own.parent.mkdir(exist_ok=True)
    own.write_text("#!/bin/sh\nexit 1\n")
    own.chmod(0o755)
    clone = rig.base / "clone"
    await new_clone(clone, FILES)
    await run(clone, "push", rig.url, "HEAD:refs/heads/master")


async def test_a_push_larger_than_the_limit_is_cut_off(rig: GitRig) -> None:
    rig.limit_bytes = 1024**2
    clone = rig.base / "clone"
    await new_clone(clone, {"blob": os.urandom(3 * 1024**2)})
    refused = await run(clone, "push", rig.url, "HEAD:refs/heads/master", check=False)
    assert refused.returncode != 0
    assert await git.head(rig.git_dir) is None
    assert any(isinstance(each, ExhaustedError) for each in rig.errors)
    await until(lambda: not processes_of(str(rig.git_dir.parent)), "git is gone")


async def test_a_pusher_that_goes_away_in_the_middle_leaves_no_git_behind(rig: GitRig) -> None:
    head = b"POST /app.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
    head += b"Content-Type: application/x-git-receive-pack-request\r\n\r\n0000"
    with socket.create_connection(("127.0.0.1", rig.port)) as gone:
        gone.sendall(head)
        await until(lambda: processes_of(str(rig.git_dir.parent)), "git runs")
    await until(lambda: not processes_of(str(rig.git_dir.parent)), "git is gone")
    await until(lambda: any(isinstance(each, OSError) for each in rig.errors), "the request ended")


async def test_a_push_that_arrived_whole_is_carried_out_though_nobody_listens(rig: GitRig, base: Path) -> None:
    clone = base / "clone"
    made = await new_clone(clone, FILES)
    asked, go_on = anyio.Event(), anyio.Event()

    async def slowly(question: dict[str, Any]) -> tuple[bool, list[str]]:
        asked.set()
        await go_on.wait()
        return True, []

    rig.decide = slowly  # type: ignore[method-assign]
    async with anyio.create_task_group() as group:

        async def push() -> None:
            await run(clone, "push", rig.url, "HEAD:refs/heads/master", check=False)

        group.start_soon(push)
        with anyio.fail_after(20):
            await asked.wait()
        rig.answering.cancel()
        go_on.set()
    await until(lambda: (rig.git_dir / "refs" / "heads" / "master").exists(), "the branch moved")
    assert await git.head(rig.git_dir) == made


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def test_only_the_smart_protocol_is_answered(rig: GitRig) -> None:
    async def ask(path: str, query: str = "") -> int:
        given = dict.fromkeys(("content_type", "content_encoding", "git_protocol", "user"), "")
        response = await git.http_backend(
            git_dir=rig.git_dir, method="GET", path_info=path, query=query, content_length=None,
            environment={}, body=_nothing(), **given,
        )  # fmt: skip
        async for _ in response.body:
            pass
        return response.status

    assert await ask("/info/refs", "service=git-upload-pack") == 200
    assert await ask("/info/refs") == 403
    for path in ("/HEAD", "/config", "/objects/info/packs", "/../other.git/info/refs"):
        with pytest.raises(NotFoundError):
            await ask(path)


def asked(rig: GitRig, body: AsyncIterator[bytes], *, limit_s: float = 20) -> Any:
    """A push, by the body of its request."""
    return git.http_backend(
        git_dir=rig.git_dir, method="POST", path_info="/git-receive-pack", query="",
        content_type="application/x-git-receive-pack-request", content_encoding="", git_protocol="",
        content_length=None, user="dev", environment={}, body=body, limit_s=limit_s,
    )  # fmt: skip


async def test_git_that_takes_too_long_is_ended(rig: GitRig) -> None:
    async def never() -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""

    with pytest.raises(UnavailableError):
        await asked(rig, never(), limit_s=0.3)
    await until(lambda: not processes_of(str(rig.git_dir.parent)), "git is gone")


async def test_an_answer_begins_when_the_whole_request_has_been_read(rig: GitRig) -> None:
    """The edge drops 256 KiB of a request to which an answer comes while it is still sent."""
    more, answers = anyio.Event(), []

    async def slow() -> AsyncIterator[bytes]:
        yield b"00"
        await more.wait()
        yield b"00"

    async def ask() -> None:
        response = await asked(rig, slow())
        answers.append(response.status)
        async with aclosing(response.body) as parts:
            async for _ in parts:
                pass

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await until(lambda: processes_of(str(rig.git_dir.parent)), "git runs")
        await anyio.sleep(0.3)
        assert answers == []
        more.set()
    assert answers == [200]


async def test_what_a_pusher_sends_after_git_has_refused_is_read_to_its_end(rig: GitRig) -> None:
    """Else its client still sends when the answer comes, and never hears the reason."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"this is no push\n"
        for _ in range(100):
            sent += 65536
            yield b"x" * 65536

    response = await asked(rig, endless())
    async with aclosing(response.body) as parts:
        async for _ in parts:
            pass
    assert sent == 100 * 65536


async def repository_of(base: Path, files: dict[str, str | bytes]) -> tuple[Path, str]:
    made = await new_clone(base / "clone", files)
    await git.init(base / "app.git")
    await run(base / "clone", "push", "-q", str(base / "app.git"), "HEAD:refs/heads/master")
    return base / "app.git", made


async def test_a_checkout_has_the_files_of_the_commit_and_no_git(base: Path) -> None:
    (base / "clone").mkdir()
    (base / "clone" / "link").symlink_to("/etc/passwd")
    git_dir, made = await repository_of(base, {**FILES, "run.sh": "#!/bin/sh\n"})
    into = base / "releases" / "one"
    await git.checkout(git_dir, made, into, limit_bytes=10_000)
    assert sorted(each.name for each in into.iterdir()) == ["link", "public", "run.sh", "server.js"]
    assert (into / "link").is_symlink() and os.readlink(into / "link") == "/etc/passwd"
    assert [each.name for each in into.parent.iterdir()] == ["one"]


async def test_a_checkout_that_was_interrupted_is_cleared_by_the_next(base: Path) -> None:
    git_dir, made = await repository_of(base, FILES)
    left = base / "releases" / ".old.new" / "tree"
    left.mkdir(parents=True)
    await git.checkout(git_dir, made, base / "releases" / "one", limit_bytes=10_000)
    assert [each.name for each in (base / "releases").iterdir()] == ["one"]


async def test_an_unknown_commit_is_named(base: Path) -> None:
    git_dir, _ = await repository_of(base, FILES)
    for unknown in ("0" * 39 + "1", "--all", "refs/heads/other"):
        with pytest.raises(InvalidError, match="push it first"):
            await git.checkout(git_dir, unknown, base / "one", limit_bytes=10_000)
    assert not (base / "one").exists()


async def test_a_tree_beyond_the_limits_is_refused_before_it_is_written(base: Path) -> None:
    git_dir, made = await repository_of(base, {"large": b"x" * 5000, "b": "", "c": ""})
    with pytest.raises(ExhaustedError, match="4000 bytes"):
        await git.checkout(git_dir, made, base / "one", limit_bytes=4000)
    with pytest.raises(ExhaustedError, match="more than 2 files"):
        await git.checkout(git_dir, made, base / "one", limit_bytes=40_000, limit_files=2)
    assert not (base / "one").exists()


async def test_a_few_objects_that_name_a_billion_files_are_refused_soon(base: Path) -> None:
    git_dir, _ = await repository_of(base, FILES)
    work = base / "clone"
    blob = (await run(work, "hash-object", "-w", "server.js")).stdout.strip()
    entries = "".join(f"100644 blob {blob}\tf{number}\n" for number in range(10))
    for _ in range(9):
        made = await anyio.run_process(["git", "mktree"], input=entries.encode(), cwd=work)
        tree = made.stdout.decode().strip()
        entries = "".join(f"040000 tree {tree}\td{number}\n" for number in range(10))
    bomb = (await run(work, "commit-tree", "-m", "bomb", tree)).stdout.strip()
    await run(work, "push", "-q", str(git_dir), f"{bomb}:refs/heads/bomb")
    with anyio.fail_after(60), pytest.raises(ExhaustedError):
        await git.checkout(git_dir, bomb, base / "one", limit_bytes=10**12, limit_files=20_000)


async def test_an_empty_repository_has_no_head_and_making_it_again_changes_nothing(base: Path) -> None:
    await git.init(base / "app.git")
    assert await git.head(base / "app.git") is None
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(git.init, base / "other.git")
    before = (base / "other.git" / "HEAD").stat().st_mtime_ns
    await git.init(base / "other.git")
    assert (base / "other.git" / "HEAD").stat().st_mtime_ns == before
    assert sorted(each.name for each in base.iterdir()) == ["app.git", "other.git"]


def test_nothing_of_the_host_reaches_git() -> None:
    told = repository.environment(settings={"core.hooksPath": "/somewhere/it's here"})
    assert told["HOME"] == "/nonexistent" and told["GIT_CONFIG_NOSYSTEM"] == "1"
    count = int(told["GIT_CONFIG_COUNT"])
    assert told[f"GIT_CONFIG_KEY_{count - 1}"] == "core.hooksPath"
    assert told[f"GIT_CONFIG_VALUE_{count - 1}"] == "/somewhere/it's here"


async def test_what_can_be_deployed_is_told_with_what_a_forced_push_left_behind(rig: GitRig) -> None:
    assert await git.commits(rig.git_dir, limit=10) == []
    clone = rig.base / "clone"
    first = await new_clone(clone, FILES)
    await run(clone, "push", "-q", rig.url, "HEAD:master")
    await run(clone, "commit", "-q", "--amend", "--allow-empty", "-m", "Another | one\n\nwith a body")
    await run(clone, "push", "-q", "--force", rig.url, "HEAD:master")
    second = (await run(clone, "rev-parse", "HEAD")).stdout.strip()
    found = await git.commits(rig.git_dir, limit=10)
    assert {each.id for each in found} == {first, second}
    told = next(each for each in found if each.id == second)
    assert (told.author, told.subject) == ("Dev", "Another | one") and told.at > 1_600_000_000_000
    assert len(await git.commits(rig.git_dir, limit=1)) == 1
