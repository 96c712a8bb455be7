"""Passwords as scrypt hashes (RFC 7914), with the parameters in the hash so that they can grow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random

COST, BLOCK, PARALLEL = 2**14, 8, 1


def hashed(password: str, rng: random.Random) -> str:
    salt = rng.randbytes(16)
    return f"scrypt${COST}${BLOCK}${PARALLEL}${_text(salt)}${_text(_derive(password, salt, COST, BLOCK, PARALLEL))}"


def matches(password: str, stored: str) -> bool:
    """Compare in constant time; takes about 50 ms by design."""
    _, cost, block, parallel, salt, digest = stored.split("$")
    derived = _derive(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(derived, base64.b64decode(digest))


def _derive(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=64 * 1024**2, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
