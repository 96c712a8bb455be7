"""Moments that are known without a clock."""

from __future__ import annotations

WRITTEN_MS = 1_767_225_600_000  # 2026-01-01: a clock that is right shows no earlier one
