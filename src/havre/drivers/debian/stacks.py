"""The stacks of a machine: found, else made; whole or not at all; shared by all that need the same packages.

One maker works at a time, under a lock of the folder, whichever process it is in; what an interrupted one left is
swept by the next. Reading needs no lock: a stack appears and disappears by a rename.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from havre.base.errors import UnavailableError
from havre.drivers.debian import apt, fixes
from havre.drivers.debian.model import ID, Closure, Package, Stack, check_names
from havre.drivers.debian.pool import Pool, normalise
from havre.drivers.debian.tree import Tree
from havre.drivers.disk.whole import write_whole

REFRESH_S = 86_400.0
AGAIN_S = 600.0  # after lists that could not be fetched
LOCK_S = 3600.0
Tell = Callable[[str], None]


def silent(_line: str) -> None:
    """Tell nobody."""


class Stacks:
    """The stacks below `root`. environment: of this process, for apt. now: the moment, ms."""

    def __init__(self, root: Path, environment: Mapping[str, str], *, now: Callable[[], int]) -> None:
        self.root = root
        self._now = now
        self._trees = root / "trees"
        self._asked = root / "asked"
        self._owners = root / "owners"
        self._apt = apt.Apt(root / "apt", environment)
        self._pool = Pool(root / "pool")

    # seeing

    def get(self, id: str) -> Stack | None:
        folder = self._trees / id
        found = _read(folder / "stack.json") if ID.fullmatch(id) else None
        if found is None:
            return None
        closure = Closure(tuple(Package(**each) for each in found["packages"]))
        try:
            used_at = (folder / "used").stat().st_mtime_ns // 1_000_000
        except OSError:
            used_at = found["made_at"]
        asked = tuple(found["asked"])
        return Stack(id, folder / "tree", asked, closure, found["bytes"], found["made_at"], used_at)

    def all(self) -> list[Stack]:
        """Every stack, the oldest first."""
        found = [self.get(each.name) for each in self._trees.glob("stack_*")]
        return sorted((each for each in found if each is not None), key=lambda each: (each.made_at, each.id))

    def _use(self, id: str) -> Stack | None:
        """The stack, if it is there; it counts as used from now on, so that nobody collects it meanwhile."""
        with self._guard(fcntl.LOCK_SH):
            now = self._now() * 1_000_000
            try:
                os.utime(self._trees / id / "used", ns=(now, now))
            except OSError:
                return None
            return self.get(id)

    # making

    async def obtain(self, packages: Sequence[str], *, fresh_s: float = REFRESH_S, tell: Tell = silent) -> Stack:
        """The stack of today's `packages` and what they need, made if need be.

        fresh_s: how old the package lists may be. tell: hears what is going on, a line at a time.
        When today's packages cannot be had, the stack made last for the same question is taken, and it is said.
        Raises UnavailableError when there is none.
        """
        asked = check_names(tuple(packages))
        known = self._known(asked, fresh_s)
        found = self._use(known.id(fixes.recipe())) if known is not None else None
        if found is not None:
            return found
        try:
            async with self._turn(tell):
                return await self._make(asked, fresh_s, tell)
        except UnavailableError as error:
            last = self._last(asked)
            if last is None:
                raise
            tell(f"stack: today's packages cannot be had ({error.message}): going on with {last.id} as it was made")
            return last

    async def today(self, packages: Sequence[str], *, fresh_s: float = REFRESH_S, tell: Tell = silent) -> Closure:
        """What `packages` and all that they need are today; nothing is made. As for the rest, see `obtain`."""
        asked = check_names(tuple(packages))
        known = self._known(asked, fresh_s)
        if known is not None:
            return known
        try:
            async with self._turn(tell):
                await self._freshen(fresh_s, tell)
                return self._known(asked, fresh_s) or await self._apt.resolve(asked)
        except UnavailableError:
            last = self._last(asked)
            if last is None:
                raise
            return last.closure

    def id_of(self, closure: Closure) -> str:
        """The id of the stack that is made of `closure`, made or not."""
        return closure.id(fixes.recipe())

    def _known(self, asked: tuple[str, ...], fresh_s: float) -> Closure | None:
        """What was found for the same question with the lists that we still have, if they are fresh enough."""
        found = _read(self._question(asked))
        if found is None or found["lists"] != self._lists() or not self._is_settled(fresh_s):
            return None
        return Closure(tuple(Package(**each) for each in found["packages"]))

    def _last(self, asked: tuple[str, ...]) -> Stack | None:
        found = _read(self._question(asked))
        return self._use(found["stack"]) if found else None

    def _question(self, asked: tuple[str, ...]) -> Path:
        return self._asked / (hashlib.sha256(" ".join(asked).encode()).hexdigest()[:24] + ".json")

    async def _make(self, asked: tuple[str, ...], fresh_s: float, tell: Tell) -> Stack:
        await self._freshen(fresh_s, tell)
        closure = self._known(asked, fresh_s) or await self._apt.resolve(asked)
        try:
            stack = await self._build(asked, closure, tell)
        except UnavailableError:
            if self._is_fresh(AGAIN_S):
                raise
            await self._freshen(0, tell)  # a mirror drops what is no longer current: ask again with today's lists
            closure = await self._apt.resolve(asked)
            stack = await self._build(asked, closure, tell)
        packages = [asdict(each) for each in closure.packages]
        record = {"asked": asked, "lists": self._lists(), "stack": stack.id, "packages": packages}
        write_whole(self._question(asked), json.dumps(record))
        return stack

    async def _build(self, asked: tuple[str, ...], closure: Closure, tell: Tell) -> Stack:
        id = self.id_of(closure)
        found = self._use(id)
        if found is not None:
            return found
        await anyio.to_thread.run_sync(self._sweep)
        wanted = [each for each in closure.packages if not self._pool.has(each)]
        debs = self.root / "debs"
        if wanted:
            size = sum(each.download_bytes for each in wanted)
            tell(f"stack: fetching {len(wanted)} packages, {size / 1e6:.0f} MB")
            await self._apt.fetch(wanted, debs)
            tell(f"stack: unpacking {len(wanted)} packages")
            await self._pool.unpack(wanted, debs)
        tell(f"stack: putting {len(closure.packages)} packages together")
        scratch = Path(tempfile.mkdtemp(dir=self._trees, prefix=".new-"))
        try:
            await self._assemble(asked, closure, scratch)
            await anyio.to_thread.run_sync(_sync, scratch)
            scratch.rename(self._trees / id)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        made = self.get(id)
        if made is None:
            raise UnavailableError("the stack that was just made is gone", stack=id)
        return made

    async def _assemble(self, asked: tuple[str, ...], closure: Closure, folder: Path) -> None:
        folder.chmod(0o755)
        tree = Tree(folder / "tree", closure.names)
        tree.root.mkdir()
        tree.root.chmod(0o755)
        await anyio.to_thread.run_sync(self._pool.link, closure.packages, tree.root)
        await fixes.mend(tree)
        size = await anyio.to_thread.run_sync(normalise, tree.root)  # what the fixes' programs wrote, too
        packages = [asdict(each) for each in closure.packages]
        record = {"asked": asked, "bytes": size, "made_at": self._now(), "recipe": fixes.recipe(), "packages": packages}
        write_whole(folder / "stack.json", json.dumps(record))
        (folder / "used").touch()
        os.utime(folder / "used", ns=(self._now() * 1_000_000,) * 2)

    # the package lists

    def lists_at(self) -> int:
        """When our lists of packages were fetched, ms; 0: never."""
        return int((_read(self.root / "lists.json") or {}).get("at", 0))

    def _lists(self) -> str:
        return str((_read(self.root / "lists.json") or {}).get("stamp", ""))

    def _is_fresh(self, fresh_s: float) -> bool:
        found = _read(self.root / "lists.json") or {}
        return self._now() - int(found.get("at", 0)) < fresh_s * 1000

    def _is_settled(self, fresh_s: float) -> bool:
        """Whether there is nothing to fetch: fresh, or tried in vain a moment ago."""
        found = _read(self.root / "lists.json") or {}
        tried = bool(found.get("stamp")) and self._now() - int(found.get("failed_at", 0)) < AGAIN_S * 1000
        return self._is_fresh(fresh_s) or (tried and fresh_s > 0)

    async def _freshen(self, fresh_s: float, tell: Tell) -> None:
        """Fetch the package lists when ours are older than `fresh_s`; old ones are better than none.

        Raises UnavailableError when there are none at all.
        """
        if self._is_settled(fresh_s):
            return
        found, now = _read(self.root / "lists.json") or {}, self._now()
        tell("stack: fetching the lists of packages")
        try:
            remark = await self._apt.refresh()
        except UnavailableError as error:
            if not self._apt.stamp() and not await anyio.to_thread.run_sync(self._apt.borrow):
                raise
            tell(f"stack: {error.message}: going on with older lists")
            old = {"stamp": self._apt.stamp(), "at": int(found.get("at", 0)), "failed_at": now}
            write_whole(self.root / "lists.json", json.dumps(old))
            return
        if remark:
            tell(f"stack: some sources did not answer: {remark}")
        write_whole(self.root / "lists.json", json.dumps({"stamp": self._apt.stamp(), "at": now, "failed_at": 0}))

    # turns

    @asynccontextmanager
    async def _turn(self, tell: Tell, *, limit_s: float = LOCK_S) -> AsyncIterator[None]:
        """One maker at a time. Raises UnavailableError when the others take longer than `limit_s`."""
        try:
            for each in (self.root, self._trees, self._asked):
                each.mkdir(mode=0o755, parents=True, exist_ok=True)
            fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as cause:
            raise UnavailableError(f"stacks cannot be made in {self.root}: {cause.strerror}") from cause
        try:
            await _lock(fd, tell, limit_s)
            self._apt.held = (fd,)
            try:
                yield
            except OSError as cause:
                raise UnavailableError(f"stacks cannot be made in {self.root}: {cause.strerror}") from cause
            finally:
                self._apt.held = ()
        finally:
            os.close(fd)

    @contextmanager
    def _guard(self, kind: int) -> Iterator[None]:
        """For a moment: shared to say that a stack is used, exclusive to take one away."""
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        fd = os.open(self.root / "guard", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, kind)
            yield
        finally:
            os.close(fd)

    def _sweep(self) -> None:
        for each in self._trees.glob(".*"):
            shutil.rmtree(each, ignore_errors=True)
        self._pool.sweep()

    # owners

    def claim(self, owner: Path, ids: Iterable[str]) -> None:
        """Say that the installation in `owner` needs the stacks `ids` and no others."""
        place = self._owners / (hashlib.sha256(str(owner).encode()).hexdigest()[:16] + ".json")
        self._owners.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_whole(place, json.dumps({"owner": str(owner), "stacks": sorted(ids)}))

    def claimed(self) -> frozenset[str]:
        """The stacks that any installation of this machine needs; one whose directory is gone needs none."""
        found: set[str] = set()
        for file in self._owners.glob("*.json"):
            claim = _read(file) or {}
            if Path(claim.get("owner", "/nonexistent")).is_dir():
                found.update(claim["stacks"])
            else:
                file.unlink(missing_ok=True)
        return frozenset(found)

    # collecting

    def weights(self) -> dict[str, int]:
        """What each package of any stack takes on disk, by the name of its file. Stacks share them."""
        packages = {each for stack in self.all() for each in stack.closure.packages}
        return {each.file: self._pool.bytes(each) for each in packages}

    async def remove(self, stacks: Sequence[Stack]) -> tuple[str, ...]:
        """Remove stacks that nobody claims and that were not used since they were read, and what only they had.

        Returns the ids of those that went. Raises UnavailableError while a stack is being made.
        """
        if not stacks:
            return ()
        async with self._turn(silent, limit_s=1):
            return await anyio.to_thread.run_sync(self._remove, stacks)

    def _remove(self, stacks: Sequence[Stack]) -> tuple[str, ...]:
        gone = []
        with self._guard(fcntl.LOCK_EX):
            claimed = self.claimed()
            for each in stacks:
                now = self.get(each.id)
                if now is not None and now.used_at == each.used_at and each.id not in claimed:
                    (self._trees / each.id).rename(self._trees / f".gone-{each.id}")
                    gone.append(each.id)
        self._sweep()
        self._pool.collect(each for stack in self.all() for each in stack.closure.packages)
        return tuple(gone)


async def _lock(fd: int, tell: Tell, limit_s: float) -> None:
    told = False
    try:
        with anyio.fail_after(limit_s):
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except BlockingIOError:
                    if not told:
                        tell("stack: waiting for another one to be made")
                    told = True
                    await anyio.sleep(0.05)  # noqa: TID251 - the lock of another process tells nobody
    except TimeoutError as cause:
        raise UnavailableError(f"another stack is being made, for longer than {limit_s:.0f} s") from cause


def _sync(folder: Path) -> None:
    """What is recorded as made is on the disk (syncfs(2))."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(fd)
    finally:
        os.close(fd)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return found
