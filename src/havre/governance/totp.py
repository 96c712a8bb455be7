"""Time-based one-time codes (RFC 6238): six digits, 30 seconds, SHA-1, as every authenticator app has them."""

from __future__ import annotations

import base64
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP_S, DIGITS = 30, 6
AROUND = (0, -1, 1)  # a clock may be one step off


def step_of(secret: str, code: str, *, now: int, after: int) -> int | None:
    """The time step that `code` belongs to, when it is one about `now` (ms) and later than `after`; else None."""
    digits = code.strip().replace(" ", "")
    if len(digits) != DIGITS or not digits.isascii() or not digits.isdigit():
        return None
    for offset in AROUND:
        step = now // 1000 // STEP_S + offset
        if step <= after:
            continue
        try:
            _totp(secret).verify(digits.encode(), step * STEP_S)
        except InvalidToken:
            continue
        return step
    return None


def code_at(secret: str, *, now: int) -> str:
    return _totp(secret).generate(now // 1000).decode()


def uri(secret: str, *, account: str, issuer: str) -> str:
    """What an authenticator app reads (the key URI format)."""
    label = f"{quote(issuer)}:{quote(account)}"
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}&digits={DIGITS}&period={STEP_S}"


def _totp(secret: str) -> TOTP:
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), STEP_S, enforce_key_length=False)
