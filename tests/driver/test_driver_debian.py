"""Stacks out of a small archive, with the real apt-get, dpkg-deb and tar; one out of the host's own."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import anyio
import pytest

from havre.apps import stacks as apps_stacks
from havre.base.errors import InvalidError, UnavailableError
from havre.base.ids import UnitId
from havre.drivers import debian
from havre.drivers.bwrap import Bubblewrap, Limits, UnitSpec
from havre.drivers.debian import Stack, Stacks
from havre.drivers.debian.fixes import java
from tests.driver.debian_rig import Archive

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(bool(debian.missing()), reason="this machine has no apt")]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def archive() -> Iterator[Archive]:
    base = Path(tempfile.mkdtemp(prefix="hv deb"))  # with a space, on purpose
    made = Archive(base)
    made.publish("alpha", "1:1.0", needs="beta", files={"usr/bin/alpha": "#!/bin/sh\n", "usr/share/man/man1/a": "x"})
    made.publish("beta", "2.0", files={"bin/beta": "b", "lib/beta/b": "b", "usr/share/doc/beta/copyright": "c"})
    made.publish("gamma", "3.0", needs="beta")
    yield made
    shutil.rmtree(base, ignore_errors=True)


def text(stack: Stack, path: str) -> str:
    return (stack.tree / path).read_text()


async def test_a_stack_is_the_closure_of_what_was_asked_under_one_merged_usr(archive: Archive) -> None:
    stack = await archive.stacks().obtain(["alpha"])
    assert [(each.name, each.version) for each in stack.closure.packages] == [("alpha", "1:1.0"), ("beta", "2.0")]
    assert stack.asked == ("alpha",)
    assert text(stack, "usr/bin/beta") == "b" and text(stack, "usr/lib/beta/b") == "b"
    assert os.readlink(stack.tree / "bin") == "usr/bin"
    assert "bas:x:1000:1000" in text(stack, "etc/passwd")
    assert (stack.tree / "usr/share/doc/beta/copyright").exists(), "licences stay"
    assert not (stack.tree / "usr/share/man/man1/a").exists(), "manuals do not"


async def test_what_was_made_is_found_again_without_a_word_or_a_program(archive: Archive) -> None:
    first = await archive.stacks().obtain(["alpha", "beta"])
    archive.close()
    told: list[str] = []
    again = await archive.stacks().obtain(["beta", "alpha", "beta"], tell=told.append)
    assert (again.id, told) == (first.id, [])


async def test_nothing_in_a_stack_is_setuid_or_hidden_from_the_user_of_an_app(archive: Archive) -> None:
    files = {"usr/bin/su": "", "usr/bin/wall": "", "etc/secret": "s", "opt/x/y": "", "usr/share/open": ""}
    modes = {"usr/bin/su": 0o4755, "usr/bin/wall": 0o2755, "etc/secret": 0o600, "opt/x": 0o700, "usr/share/open": 0o666}
    archive.publish("rights", files=files, modes=modes)
    before = os.umask(0o077)
    try:
        stack = await archive.stacks().obtain(["rights"])
    finally:
        os.umask(before)
    wrong = []
    for folder, folders, names in os.walk(stack.tree):
        for each in [Path(folder), *(Path(folder) / name for name in (*folders, *names))]:
            mode = stat.S_IMODE(each.lstat().st_mode)
            if not each.is_symlink() and mode not in (0o755, 0o644):
                wrong.append((str(each), oct(mode)))
    assert wrong == []


async def test_stacks_share_the_files_of_a_package_and_own_what_was_made_for_each(archive: Archive) -> None:
    archive.publish("base-passwd", files={"usr/share/base-passwd/passwd.master": "root:*:0:0::/root:/bin/sh\n"})
    stacks = archive.stacks()
    one, other = await stacks.obtain(["alpha", "base-passwd"]), await stacks.obtain(["gamma", "base-passwd"])
    assert (one.tree / "usr/bin/beta").samefile(other.tree / "usr/bin/beta")
    assert not (one.tree / "etc/passwd").samefile(other.tree / "etc/passwd")
    assert text(one, "etc/passwd") == "root:x:0:0::/root:/bin/sh\nbas:x:1000:1000:bas:/home/bas:/bin/sh\n"


async def test_a_new_version_is_another_stack_once_the_lists_are_old_and_the_old_one_stays(archive: Archive) -> None:
    stacks = archive.stacks()
    old = await stacks.obtain(["alpha"])
    archive.publish("beta", "2.1", files={"bin/beta": "newer"})
    assert (await stacks.obtain(["alpha"])).id == old.id, "the lists are a day's"
    archive.a_day_later()
    told: list[str] = []
    new = await stacks.obtain(["alpha"], tell=told.append)
    assert told == [
        "stack: fetching the lists of packages",
        "stack: fetching 1 packages, 0 MB",
        "stack: unpacking 1 packages",
        "stack: putting 2 packages together",
    ]
    assert debian.differences(old.closure, new.closure) == ("beta: 2.0 -> 2.1",)
    assert (text(old, "usr/bin/beta"), text(new, "usr/bin/beta")) == ("b", "newer")
    assert (new.tree / "usr/bin/alpha").samefile(old.tree / "usr/bin/alpha")


async def test_offline_the_last_stack_goes_on_and_it_is_said(archive: Archive) -> None:
    stacks = archive.stacks()
    old = await stacks.obtain(["alpha"])
    archive.close()
    archive.a_day_later()
    told: list[str] = []
    assert (await stacks.obtain(["alpha"], tell=told.append)).id == old.id
    assert any("going on with older lists" in line for line in told), told
    told.clear()
    assert (await stacks.obtain(["alpha"], tell=told.append)).id == old.id
    assert told == [], "and it is not tried again at once"
    with pytest.raises(UnavailableError, match=r"packages could not be fetched: .*gamma"):
        await stacks.obtain(["gamma"])
    assert (await stacks.today(["alpha"])) == old.closure
    archive.open()
    archive.a_day_later()
    assert [each.name for each in (await stacks.obtain(["gamma"])).closure.packages] == ["beta", "gamma"]


async def test_without_an_archive_the_first_stack_says_what_apt_said(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.close()
    monkeypatch.setattr("havre.drivers.debian.apt.HOST_LISTS", archive.base / "none")
    with pytest.raises(UnavailableError, match=r"the package lists could not be fetched: .*archive"):
        await archive.stacks().obtain(["alpha"])


async def test_a_package_that_the_archive_has_replaced_is_fetched_by_new_lists(archive: Archive) -> None:
    stacks = archive.stacks()
    await stacks.obtain(["gamma"])
    archive.publish("alpha", "1:1.1", needs="beta")
    archive.at += 700_000
    told: list[str] = []
    found = await stacks.obtain(["alpha"], tell=told.append)
    assert found.closure.packages[0].version == "1:1.1"
    assert told.count("stack: fetching the lists of packages") == 1


async def test_an_archive_that_nobody_signed_is_not_used(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("havre.drivers.debian.apt.HOST_LISTS", archive.base / "none")
    sources = archive.base / "sources.list"
    sources.write_text(sources.read_text().replace("[trusted=yes] ", ""))
    with pytest.raises(UnavailableError, match="is not signed"):
        await archive.stacks().obtain(["alpha"])


async def test_an_unknown_package_is_named_and_an_option_is_no_package(archive: Archive) -> None:
    with pytest.raises(UnavailableError, match="Unable to locate package omega"):
        await archive.stacks().obtain(["omega"])
    for bad in ("--reinstall", "/etc/passwd", "a b", "alpha=1", "./alpha.deb"):
        with pytest.raises(InvalidError, match="not the name"):
            await archive.stacks().obtain([bad])


async def test_a_broken_file_makes_no_stack(archive: Archive) -> None:
    stacks = archive.stacks()
    await stacks.obtain(["beta"])
    file = next(archive.folder.glob("alpha_*.deb"))
    file.write_bytes(b"\0" * file.stat().st_size)
    with pytest.raises(UnavailableError, match="packages could not be fetched"):
        await stacks.obtain(["alpha"])
    assert [each.asked for each in stacks.all()] == [("beta",)]


async def test_two_that_need_the_same_make_it_once(archive: Archive) -> None:
    told: list[str] = []
    found: list[Stack] = []

    async def need(stacks: Stacks) -> None:
        found.append(await stacks.obtain(["alpha", "gamma"], tell=told.append))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(need, archive.stacks())
    assert len({each.id for each in found}) == 1 and len(found) == 4
    assert [line for line in told if "together" in line] == ["stack: putting 3 packages together"]


@pytest.mark.parametrize("at", ["fetching the lists", "fetching 2", "unpacking", "together"])
async def test_a_maker_that_is_cancelled_leaves_nothing_to_be_seen(archive: Archive, at: str) -> None:
    stacks = archive.stacks()
    with anyio.CancelScope() as scope:

        def tell(line: str) -> None:
            if at in line:
                scope.cancel()

        await stacks.obtain(["alpha"], tell=tell)
    assert scope.cancelled_caught
    assert stacks.all() == []
    made = await archive.stacks().obtain(["alpha"])
    assert text(made, "usr/bin/beta") == "b"
    assert list((archive.base / "stacks" / "trees").glob(".*")) == []


@pytest.mark.parametrize("at", ["fetching 2", "unpacking", "together"])
async def test_a_maker_that_is_killed_leaves_nothing_to_be_seen(archive: Archive, at: str) -> None:
    program = f"""
import anyio, os, signal
from pathlib import Path
from havre.drivers import debian
def tell(line):
    if {at!r} in line:
        for each in ("trees/.new-x", "pool/1/.new-x"):  # what it would have left a moment later
            Path({str(archive.base / "stacks")!r}, each).mkdir(parents=True)
        os.kill(os.getpid(), signal.SIGKILL)
stacks = debian.Stacks(Path({str(archive.base / "stacks")!r}), {archive.environment!r}, now=lambda: {archive.at})
anyio.run(lambda: stacks.obtain(["alpha"], tell=tell))
"""
    with anyio.fail_after(60):
        died = await anyio.run_process([sys.executable, "-c", program], check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert archive.stacks().all() == []
    assert text(await archive.stacks().obtain(["alpha"]), "usr/bin/beta") == "b"
    assert list((archive.base / "stacks").glob("*/**/.new-*")) == []


async def test_what_nobody_needs_is_removed_and_what_is_claimed_or_used_meanwhile_is_not(archive: Archive) -> None:
    stacks = archive.stacks()
    alpha, beta, gamma = [await stacks.obtain([name]) for name in ("alpha", "beta", "gamma")]
    gone = archive.base / "an installation that is gone"
    stacks.claim(archive.base, [beta.id])
    stacks.claim(gone, [gamma.id])
    assert stacks.claimed() == {beta.id}
    archive.at += 1000
    await stacks.obtain(["gamma"])
    assert await stacks.remove([alpha, beta, gamma]) == (alpha.id,)
    assert {each.id for each in stacks.all()} == {beta.id, gamma.id}
    assert sorted(stacks.weights()) == sorted(each.file for each in gamma.closure.packages)
    assert len(list((archive.base / "stacks" / "pool" / "1").iterdir())) == 2
    assert text(gamma, "usr/bin/beta") == "b"


def test_the_trust_store_of_java_is_sealed_with_the_word_that_java_knows() -> None:
    store = java.key_store([b"one", b"two"])
    content, seal = store[:-20], store[-20:]
    assert content[:12].hex() == "feedfeed" + "00000002" + "00000002"
    assert b"X.509\0\0\0\x03one" in content and b"X.509\0\0\0\x03two" in content
    assert seal == hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + content).digest()


# the host's own archive


@pytest.fixture(scope="module")
def real() -> Iterator[tuple[Path, Stack]]:
    base = Path(tempfile.mkdtemp(prefix="hv r", dir="/tmp"))
    stacks = Stacks(base / "stacks", dict(os.environ), now=lambda: 1_700_000_000_000)
    asked = ("base-files", "base-passwd", "ca-certificates", "dash", "coreutils", "mawk", "libc-bin")
    try:
        yield base, anyio.run(stacks.obtain, (*asked, "tzdata"))
    finally:
        shutil.rmtree(base, ignore_errors=True)


async def run_in(base: Path, stack: Stack, script: str) -> tuple[str, str]:
    """How a unit on `stack` ended and what it said, as an app of this machine would run."""
    engine = Bubblewrap(units=base / "units", run=base / "run", network=IPv4Network("10.99.0.0/16"), now=lambda: 0)
    id = UnitId(f"unit{len(list(base.glob('*.log')))}")
    spec = UnitSpec(
        id=id, kind="build", argv=("/bin/sh", "-c", script), env={"PATH": "/usr/bin:/bin"}, cwd="/",
        limits=Limits(256 * 1024**2, 1.0), log=base / f"{id}.log", uid=251_234, way_out=False, tree=stack.tree,
    )  # fmt: skip
    await engine.start(spec)
    with anyio.fail_after(30):
        ended = await engine.wait(id)
    await engine.forget(id)
    return str(ended), (base / f"{id}.log").read_text()


async def test_programs_run_on_a_stack_as_the_user_of_an_app(real: tuple[Path, Stack]) -> None:
    script = "id -u; awk 'BEGIN { print 6 * 7 }'; head -1 /etc/os-release; ls -d /var/tmp /tmp | xargs; date +%Z"
    ended, said = await run_in(*real, script.replace(" | xargs", ""))
    assert (ended, said.splitlines()[:2]) == ("exit code 0", ["1000", "42"]), said
    assert "Debian" in said and said.endswith("/tmp\n/var/tmp\nUTC\n")


async def test_a_unit_cannot_write_its_stack(real: tuple[Path, Stack]) -> None:
    for place in ("/usr/bin/x", "/etc/x", "/var/lib/x", "/etc/passwd"):
        ended, _ = await run_in(*real, f"echo no > {place}")
        assert ended != "exit code 0", place
    assert not (real[1].tree / "usr/bin/x").exists()


async def test_a_stack_knows_the_loader_the_authorities_and_its_users(real: tuple[Path, Stack]) -> None:
    tree = real[1].tree
    assert (tree / "etc/ld.so.cache").stat().st_size > 500
    bundle = (tree / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert bundle.count("BEGIN CERTIFICATE") > 50
    assert any(each.name.endswith(".0") for each in (tree / "etc/ssl/certs").iterdir()), "no name by hash"
    users = (tree / "etc/passwd").read_text()
    assert (
        users.startswith("root:x:0:0:")
        and "www-data:" in users
        and users.endswith("bas:x:1000:1000:bas:/home/bas:/bin/sh\n")
    )
    assert os.readlink(tree / "usr/bin/awk") == "mawk"


async def test_a_stack_of_the_host_needs_no_perl_to_merge_usr(real: tuple[Path, Stack]) -> None:
    assert not {"perl", "perl-base", "usrmerge"} & real[1].closure.names


async def test_no_link_of_the_base_stack_leads_nowhere(real: tuple[Path, Stack]) -> None:
    tree = real[1].tree
    broken = []
    for each in [*(tree / "usr/bin").iterdir(), *(tree / "usr/sbin").iterdir(), *(tree / "usr/lib").glob("*/*.so*")]:
        if each.is_symlink():
            target = os.readlink(each)
            place = tree / target.lstrip("/") if target.startswith("/") else each.parent / target
            if not os.path.lexists(place):
                broken.append(str(each.relative_to(tree)))
    assert broken == []


def test_a_kind_whose_programs_are_missing_is_told_what_to_install() -> None:
    class Kind:
        slug, packages, programs = "odd", ("odd-lang",), ("a-program-that-is-nowhere", "sh")

    said = apps_stacks.lack(Kind())  # type: ignore[arg-type]
    assert said.startswith("this machine has no a-program-that-is-nowhere; install it") and "odd-lang" in said
