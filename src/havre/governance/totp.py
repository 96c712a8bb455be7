"""Time-based one-time codes (RFC 6238): six digits, 30 seconds, SHA-1, as every authenticator app has them."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import quote

STEP_S, DIGITS = 30, 6
AROUND = (0, -1, 1)  # a clock may be one step off


def step_of(secret: str, code: str, *, now: int, after: int) -> int | None:
    """The time step that `code` belongs to, when it is one about `now` (ms) and later than `after`; else None."""
    digits = code.strip().replace(" ", "")
    if len(digits) != DIGITS or not digits.isascii() or not digits.isdigit():
        return None
    for offset in AROUND:
        step = now // 1000 // STEP_S + offset
        if step > after and hmac.compare_digest(_code(secret, step), digits):
            return step
    return None


def code_at(secret: str, *, now: int) -> str:
    return _code(secret, now // 1000 // STEP_S)


def uri(secret: str, *, account: str, issuer: str) -> str:
    """What an authenticator app reads (the key URI format)."""
    label = f"{quote(issuer)}:{quote(account)}"
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}&digits={DIGITS}&period={STEP_S}"


def _code(secret: str, step: int) -> str:
    """RFC 4226, section 5.3: 31 bits of the digest, from where its last four bits say."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    begin = digest[-1] & 0xF
    number = int.from_bytes(digest[begin : begin + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"
