"""Rust programs, compiled by Debian's Rust and cargo. The page is README.md."""

from __future__ import annotations

import re
from collections.abc import Mapping

from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.apps.runtimes.versions import version_check
from havre.base.errors import InvalidError

CACHE = "/home/bas/.cache"
PROGRAM = "$APP_HOME/.havre/program"
BUILD_ENV = {
    "CARGO_HOME": f"{CACHE}/cargo", "CARGO_TARGET_DIR": f"{CACHE}/cargo-target", "CARGO_NET_RETRY": "5",
    "CARGO_TERM_COLOR": "never", "CARGO_TERM_PROGRESS_WHEN": "never",
}  # fmt: skip
# The finished programs leave the cache, where cargo's folder stays, for the place where people look for them.
KEEP = """
import json, os, shutil, subprocess, sys
told = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1"], check=True, capture_output=True)
found = json.loads(told.stdout)
packages = [each for each in found["packages"] if each["id"] in found["workspace_members"]]
names = [target["name"] for each in packages for target in each["targets"] if "bin" in target["kind"]]
built = os.path.join(os.environ["CARGO_TARGET_DIR"], "release")
kept = os.path.join(os.environ["APP_ROOT"], "target", "release")
os.makedirs(kept, exist_ok=True)
names = [name for name in names if os.path.isfile(os.path.join(built, name))]
for name in names:
    shutil.copy2(os.path.join(built, name), os.path.join(kept, name))
asked, runs = sys.argv[1], sys.argv[2]
chosen = [asked] if asked else [each["default_run"] for each in packages if each.get("default_run")] or names
if not runs and (len(chosen) != 1 or chosen[0] not in names):
    sys.exit(f"set CC_RUST_BIN to the program that is started; cargo built {', '.join(names) or 'none'}")
if not runs:
    place = os.path.join(os.environ["APP_HOME"], ".havre")
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, "program"), "w") as file:
        file.write(os.path.join(kept, chosen[0]))
    print(f"starts target/release/{chosen[0]}")
"""
VERSION = "rustc --version | cut -d ' ' -f 2"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_FEATURE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+./?-]*")
_CHANNEL = re.compile(r"^\s*channel\s*=\s*[\"']([^\"']+)[\"']", re.M)


class Rust:
    slug = "rust"
    type = "rust"
    name = "Rust"
    variant_id = "5036303b-a732-489a-9e50-56233eeb1752"
    packages: tuple[str, ...] = ("rustc-web", "cargo-web", "libssl-dev")
    programs: tuple[str, ...] = ("cargo", "rustc", "python3")
    variables = frozenset({"CC_RUST_BIN", "CC_RUST_FEATURES", "CC_RUSTUP_CHANNEL"})

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        if "Cargo.toml" not in tree:
            raise InvalidError(
                "no Cargo.toml at the top of the repository (is the app in a sub-folder? then set APP_FOLDER)"
            )
        notes = self._channel(tree, env)
        program = env.get("CC_RUST_BIN", "").strip()
        if program and not _NAME.fullmatch(program):
            raise InvalidError(f"CC_RUST_BIN={program} is not the name of a program of Cargo.toml")
        words = ["cargo", "build", "--release", *(("--locked",) if "Cargo.lock" in tree else ())]
        words += ["--bin", program] if program else []
        features = [each for each in re.split(r"[\s,]+", env.get("CC_RUST_FEATURES", "")) if each]
        for each in features:
            if not _FEATURE.fullmatch(each):
                raise InvalidError(f"CC_RUST_FEATURES: {each} is not the name of a feature")
        words += ["--features", ",".join(features)] if features else []
        run = env.get("CC_RUN_COMMAND", "").strip()
        keep = ("python3", "-c", KEEP, program, "yes" if run else "")
        asked = env.get("CC_RUSTUP_CHANNEL", "")
        checked = version_check("Rust", asked=asked, who="CC_RUSTUP_CHANNEL", program=("sh", "-c", VERSION))
        return Plan(
            runtime=self.slug,
            toolchains=(),
            build=(*checked, Command("cargo", tuple(words)), Command("what to start", keep, quiet=True)),
            start=run or f'exec "$(cat "{PROGRAM}")"',
            lock_files=("Cargo.lock", "Cargo.toml"),
            notes=notes,
            build_packages=self.packages,
            build_env=BUILD_ENV,
        )

    def _channel(self, tree: Tree, env: Mapping[str, str]) -> tuple[str, ...]:
        """Refuse a channel that is not offered; say what of a file is not followed."""
        asked = env.get("CC_RUSTUP_CHANNEL", "").strip()
        if asked not in ("", "stable") and not asked[:1].isdigit():
            raise InvalidError(
                f"CC_RUSTUP_CHANNEL={asked} is not offered here: apps are compiled by the stable Rust of the stack "
                "(clever env rm CC_RUSTUP_CHANNEL)"
            )
        file = tree.first("rust-toolchain.toml", "rust-toolchain")
        text = tree.texts.get(file, "") if file else ""
        found = _CHANNEL.search(text)
        channel = found[1] if found else text.strip() if file == "rust-toolchain" and "[" not in text else ""
        if channel.startswith(("nightly", "beta")):
            raise InvalidError(f"{file} asks for {channel}; this installation compiles with a stable Rust only")
        return (f"{file} is not followed: the stack's Rust compiles the app",) if channel not in ("", "stable") else ()


RUNTIME = Rust()
