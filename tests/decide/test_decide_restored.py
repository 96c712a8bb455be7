"""What is tried again after a restore, and when."""

from __future__ import annotations

import pytest

from havre.apps.model import Action, Deployment, DeploymentState
from havre.apps.restored import CAUSE, TRIES, due
from havre.base.ids import AppId, DeploymentId

NOW = 1_700_000_000_000
MINUTE_MS = 60_000


def row(number: int, *, minutes_ago: float, state: str = "FAIL", cause: str = CAUSE) -> Deployment:
    ended = int(NOW - minutes_ago * MINUTE_MS)
    return Deployment(
        id=DeploymentId(f"deployment_{number}"), number=number, app_id=AppId("app_1"), state=DeploymentState(state),
        action=Action.DEPLOY, commit_id="a" * 40, cause=cause, author_id="", author_name="Havre", operation_id=None,
        release_id=None, env={}, instances=1, error="", created_at=ended - 1000, ended_at=ended,
    )  # fmt: skip


def rows(count: int, *, minutes_ago: float) -> list[Deployment]:
    """So many failures, newest first; before them what the backup brought."""
    failed = [row(10 + count - each, minutes_ago=minutes_ago + each) for each in range(count)]
    return [*failed, row(5, minutes_ago=900, state="OK", cause="Git")]


@pytest.mark.parametrize(
    ("failures", "pause_min"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (12, 60), (TRIES - 1, 60)]
)
def test_it_is_tried_ever_more_rarely(failures: int, pause_min: int) -> None:
    assert due(rows(failures, minutes_ago=pause_min - 0.1), now=NOW) is None
    again = due(rows(failures, minutes_ago=pause_min), now=NOW)
    assert again is not None and again.number == 11, "what served, and not a push that waited"


def test_it_is_given_up_in_the_end() -> None:
    assert due(rows(TRIES, minutes_ago=600), now=NOW) is None


@pytest.mark.parametrize(
    ("state", "cause"), [("OK", CAUSE), ("WIP", CAUSE), ("CANCELLED", CAUSE), ("FAIL", "Git"), ("WIP", "CLI")]
)
def test_nothing_is_tried_again_once_it_serves_or_somebody_has_asked_for_something(state: str, cause: str) -> None:
    newest = row(30, minutes_ago=90, state=state, cause=cause)
    assert due([newest, *rows(3, minutes_ago=90)], now=NOW) is None


def test_an_app_that_was_never_restored_is_left_alone() -> None:
    assert due([], now=NOW) is None
    assert due([row(1, minutes_ago=90, cause="Git")], now=NOW) is None
