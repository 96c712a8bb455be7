"""Texts that nobody can guess, and the digests that are kept of them."""

from __future__ import annotations

import hashlib
import random

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def text(rng: random.Random, length: int) -> str:
    """Letters and digits only: the CLI does not percent-encode the secrets that it sends."""
    return "".join(rng.choice(_LETTERS) for _ in range(length))


def digest(secret: str) -> str:
    """What is kept of a long random text; a password needs more (`passwords`)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(left: str, right: str) -> bool:
    """In constant time."""
    import hmac

    return hmac.compare_digest(left.encode(), right.encode())
