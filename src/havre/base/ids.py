"""Identifiers, as distinct types, with the forms that the `clever` CLI checks.

The CLI takes an argument for an id only when it is a known prefix and an RFC 4122 UUID of version 1 to 5;
anything else it treats as a name. All of ours are version 4.
"""

from __future__ import annotations

import re
import uuid
from typing import NewType

AppId = NewType("AppId", str)
OwnerId = NewType("OwnerId", str)  # an organisation, `orga_…`
UserId = NewType("UserId", str)
DeploymentId = NewType("DeploymentId", str)
InstanceId = NewType("InstanceId", str)
OperationId = NewType("OperationId", str)
UnitId = NewType("UnitId", str)

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_ID = re.compile(rf"(?:(?:app|orga|user|deployment|op)_)?{_UUID}")


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the form `<prefix>_<uuid>`; upper-case hex is not ours."""
    return text.startswith(prefix + "_") and _ID.fullmatch(text) is not None


def new_app_id() -> AppId:
    return AppId(f"app_{uuid.uuid4()}")


def new_owner_id() -> OwnerId:
    return OwnerId(f"orga_{uuid.uuid4()}")


def new_user_id() -> UserId:
    return UserId(f"user_{uuid.uuid4()}")


def new_deployment_id() -> DeploymentId:
    return DeploymentId(f"deployment_{uuid.uuid4()}")


def new_operation_id() -> OperationId:
    return OperationId(f"op_{uuid.uuid4()}")


def new_instance_id() -> InstanceId:
    """A bare UUID: the CLI hands it to `ssh` as it is. It is also the id of the instance's unit."""
    return InstanceId(str(uuid.uuid4()))
