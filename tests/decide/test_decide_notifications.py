"""Which public events a deployment begins with."""

from __future__ import annotations

import pytest

from havre.kernel.events import Event
from havre.notifications.decide import public_events


@pytest.mark.parametrize(
    ("action", "cause", "told"),
    [
        ("DEPLOY", "Git", "GIT_PUSH"),
        ("DEPLOY", "Console", "APPLICATION_REDEPLOY"),
        ("DEPLOY", "CLI", "APPLICATION_REDEPLOY"),
        ("DEPLOY", "API", "APPLICATION_REDEPLOY"),
        ("UNDEPLOY", "CLI", "APPLICATION_STOP"),
        ("UPSCALE", "Monitoring/Scaling: 2 because a request came", None),
    ],
)
def test_what_somebody_asked_for_is_told_by_what_it_was(action: str, cause: str, told: str | None) -> None:
    facts = {"deployment": "deployment_1", "state": "WIP", "action": action, "commit": "0" * 40, "cause": cause}
    event = Event(
        seq=1, at=1, name="apps.deployment.began", owner_id="orga_1", actor_id="user_1", subject="app_1", facts=facts
    )
    assert [each.name for each in public_events(event)] == ["DEPLOYMENT_ACTION_BEGIN", *([told] if told else [])]
