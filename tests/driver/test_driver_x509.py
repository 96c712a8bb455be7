"""The notary: what it makes and says, and that it is there while somebody needs it, and no longer."""

from __future__ import annotations

import datetime
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from havre.base.errors import BrokenError, InvalidError, UnavailableError
from havre.drivers.identity import Identity, find, is_alive
from havre.drivers.x509 import Notary
from havre.drivers.x509.authority import open_authority
from havre.drivers.x509.notary import COMMAND
from tests.driver.caddy_rig import until

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
LIVES_ON = """
import sys, time
from pathlib import Path
from havre.drivers.x509 import Notary
notary = Notary()
notary.authority(Path(sys.argv[1]), now=1_800_000_000_000)
print(notary.pid, flush=True)
time.sleep(120)
"""
ONCE = """
import os, pathlib, sys
seen = pathlib.Path(sys.argv[1])
if not seen.exists():
    seen.touch()
    os.read(0, 10)
    os.kill(os.getpid(), 9)
os.execv(sys.argv[2], sys.argv[2:])
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def notary() -> Iterator[Notary]:
    made = Notary()
    yield made
    made.close()


def identity(notary: Notary) -> Identity:
    assert notary.pid is not None
    found = find(notary.pid)
    assert found is not None
    return found


def test_leaves_of_many_hosts_are_made_by_one_process_and_believed(notary: Notary, tmp_path: Path) -> None:
    authority = notary.authority(tmp_path / "ca", now=now_ms())
    first = identity(notary)
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "ca").iterdir()} == {0o600, 0o644}
    with ThreadPoolExecutor(4) as pool:  # threads of a server ask at the same time
        made = list(pool.map(lambda n: authority.leaf([f"www.{n}.test", "::1"], now=now_ms()), range(300)))
    assert identity(notary) == first
    root = open_authority(tmp_path / "ca", now=now_ms()).certificate
    for number, (text, end) in enumerate(made):
        leaf = x509.load_pem_x509_certificate(text.encode())
        leaf.verify_directly_issued_by(root)
        named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert named.get_values_for_type(x509.DNSName) == [f"www.{number}.test"]
        assert end // 1000 == leaf.not_valid_after_utc.timestamp()
    (tmp_path / "leaf.pem").write_text(made[0][0])
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "leaf.pem")  # its key belongs to it


def test_the_root_is_kept_and_told_without_the_library(notary: Notary, tmp_path: Path) -> None:
    at = now_ms()
    notary.authority(tmp_path / "ca", now=at)
    before = (tmp_path / "ca" / "root.crt").read_bytes()
    notary.close()
    root = notary.authority(tmp_path / "ca", now=at + 1000).root()
    assert (root.name, root.not_after) == ("Havre Local Root", at // 1000 * 1000 + 3650 * 86_400_000)
    assert notary.pid is None and (tmp_path / "ca" / "root.crt").read_bytes() == before
    (tmp_path / "ca" / "root.key").write_text("no key")
    with pytest.raises(UnavailableError, match="cannot be read"):
        notary.authority(tmp_path / "ca", now=at).root()
    with pytest.raises(UnavailableError, match="cannot be read") as refused:
        notary.authority(tmp_path / "ca", now=at).leaf(["a.test"], now=at)
    assert refused.value.facts == {"folder": str(tmp_path / "ca")}


def rejected(root: bytes, text: str, host: str, place: Path) -> str:
    """Why a visitor whose clock is right, and who trusts `root`, does not believe a server; empty when they do."""
    (place / "shown.pem").write_text(text)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(place / "shown.pem")
    ways = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        ssl.create_default_context(cadata=root.decode()).wrap_bio(*ways, server_hostname=host),
        server.wrap_bio(*reversed(ways), server_side=True),
    )
    for each in ends * 3:
        try:
            each.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    return ""


@pytest.mark.parametrize("at", [0, now_ms() + 20 * YEAR_MS], ids=["1970", "in twenty years"])
def test_a_root_of_a_first_start_with_a_wrong_clock_is_good_when_it_is_right(
    notary: Notary, tmp_path: Path, at: int
) -> None:
    authority = notary.authority(tmp_path / "ca", now=at)
    early, _ = authority.leaf(["a.test"], now=at)
    before = (tmp_path / "ca" / "root.crt").read_bytes()
    assert rejected(before, early, "a.test", tmp_path), "a leaf of then is worth nothing now"
    text, _ = authority.leaf(["a.test"], now=now_ms())
    assert rejected(before, text, "a.test", tmp_path) == ""
    assert not authority.keep(now=now_ms()) and (tmp_path / "ca" / "root.crt").read_bytes() == before


def root_of(key: ec.EllipticCurvePrivateKey, *, begin: int, end: int) -> bytes:
    """A root as earlier releases made them: it begins when it is made."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Some Older Root")])
    moments = [datetime.datetime.fromtimestamp(each // 1000, datetime.UTC) for each in (begin, end)]
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, *moments)
    made = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True).sign(key, SHA256())
    return made.public_bytes(Encoding.PEM)


@pytest.mark.parametrize("shift", [9 * YEAR_MS, -11 * YEAR_MS, 20 * DAY_MS - 10 * YEAR_MS])
def test_a_root_that_has_not_begun_or_ends_soon_is_made_anew_with_its_key_and_name(
    notary: Notary, tmp_path: Path, shift: int
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "root.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    older = root_of(key, begin=now_ms() + shift, end=now_ms() + shift + 10 * YEAR_MS)
    (tmp_path / "ca" / "root.crt").write_bytes(older)
    authority = notary.authority(tmp_path / "ca", now=now_ms())
    fresh = (tmp_path / "ca" / "root.crt").read_bytes()
    assert fresh != older and authority.root().is_good(now_ms()) and authority.root().name == "Some Older Root"
    assert (tmp_path / "ca" / "root.crt").stat().st_mode & 0o777 == 0o644 and not authority.keep(now=now_ms())
    text, _ = authority.leaf(["a.test"], now=now_ms())
    assert rejected(fresh, text, "a.test", tmp_path) == ""
    began = root_of(key, begin=now_ms() - DAY_MS, end=now_ms() + DAY_MS)
    assert rejected(began, text, "a.test", tmp_path) == "", "who trusts an older root notices nothing"


def test_what_is_wrong_is_said_in_the_words_of_the_one_who_looked(notary: Notary) -> None:
    with pytest.raises(InvalidError, match=r"^Invalid certificate: there is no private key"):
        notary.check("", "", now=now_ms())
    with pytest.raises(InvalidError, match="more than 128 KiB"):
        notary.check("x" * 200_000, "", now=now_ms())
    with pytest.raises(InvalidError, match="no private key"):
        notary.check("x" * 120_000, "é\n" * 1000, now=now_ms())  # more than a pipe holds


def test_a_mistake_of_ours_is_told_without_what_it_was_asked(notary: Notary, tmp_path: Path) -> None:
    with pytest.raises(BrokenError) as told:
        notary.leaf(tmp_path / "ca", [], now=now_ms())
    assert told.value.facts == {"error": "IndexError"}
    before = notary.pid
    notary.leaf(tmp_path / "ca", ["a.test"], now=now_ms())
    assert notary.pid == before


def test_nothing_secret_is_in_its_arguments(notary: Notary, tmp_path: Path) -> None:
    notary.leaf(tmp_path / "ca", ["a.test"], now=now_ms())
    command = Path(f"/proc/{notary.pid}/cmdline").read_text().split("\0")
    assert command[:-1] == list(COMMAND)


def test_one_that_is_killed_before_it_answers_is_asked_again_of_the_next(notary: Notary, tmp_path: Path) -> None:
    authority = notary.authority(tmp_path / "ca", now=now_ms())
    first = identity(notary)
    os.kill(first.pid, signal.SIGSTOP)  # it will not answer
    made: list[str] = []
    asking = threading.Thread(target=lambda: made.append(authority.leaf(["a.test"], now=now_ms())[0]))
    asking.start()
    os.kill(first.pid, signal.SIGKILL)
    asking.join(30)
    assert made and identity(notary) != first

    seen = tmp_path / "seen"
    ends_once = Notary([sys.executable, "-c", ONCE, str(seen), *COMMAND])
    assert ends_once.leaf(tmp_path / "ca", ["a.test"], now=now_ms())[0] and seen.exists()
    ends_once.close()


def test_one_that_always_ends_or_cannot_be_started_is_unavailable(tmp_path: Path) -> None:
    for command in ([sys.executable, "-c", "import os; os.read(0, 10)"], [str(tmp_path / "nothing")]):
        with pytest.raises(UnavailableError, match="neither made nor checked"):
            Notary(command).leaf(tmp_path, ["a.test"], now=now_ms())


def test_one_that_is_silent_is_given_up_in_time_and_the_next_one_asked(tmp_path: Path) -> None:
    patient = Notary()
    with pytest.raises(UnavailableError):
        Notary([sys.executable, "-c", "import time; time.sleep(60)"], answer_s=0.2).check("", "", now=now_ms())
    assert patient.leaf(tmp_path / "ca", ["a.test"], now=now_ms())
    silent = identity(patient)
    os.kill(silent.pid, signal.SIGSTOP)
    usual_s, patient._answer_s = patient._answer_s, 1.0
    with pytest.raises(UnavailableError):
        patient.leaf(tmp_path / "ca", ["x" * 300_000], now=now_ms())  # cannot even be told
    until(lambda: not is_alive(silent), what="the silent one is ended")
    patient._answer_s = usual_s  # the next one has to start first
    assert patient.leaf(tmp_path / "ca", ["a.test"], now=now_ms())
    patient.close()


def test_one_that_nobody_asks_ends_by_itself_and_is_collected(tmp_path: Path) -> None:
    notary = Notary([*COMMAND, "0.2"])
    leaf = lambda: notary.leaf(tmp_path / "ca", ["a.test"], now=now_ms())  # noqa: E731
    notary.authority(tmp_path / "ca", now=now_ms())
    pid = until(lambda: leaf() and notary.pid, what="one is there when it has answered")
    until(lambda: notary.pid is None, what="it has ended")
    until(lambda: not Path(f"/proc/{pid}").exists(), what="it is collected")
    assert leaf()
    notary.close()


def test_it_does_not_outlive_the_one_who_asked(tmp_path: Path) -> None:
    asker = subprocess.Popen([sys.executable, "-c", LIVES_ON, str(tmp_path / "ca")], stdout=subprocess.PIPE, text=True)
    assert asker.stdout is not None
    notary = find(int(asker.stdout.readline()))
    assert notary is not None and is_alive(notary)
    asker.kill()
    asker.wait()
    asker.stdout.close()
    until(lambda: not is_alive(notary), what="the notary is gone, long before it is idle for so long", limit_s=10)
