"""The resource of a forked child: its parent's with another instance, the same one for all signals."""

from __future__ import annotations

import os
import uuid
from typing import Final

from opentelemetry.sdk.resources import Resource

from tickspan.semconv.common import PROCESS_PID, SERVICE_INSTANCE_ID

_children: Final[dict[tuple[int, str], str]] = {}


def of_this_process(resource: Resource) -> Resource:
    """`resource` as it is after a fork.

    `service.instance.id` is new, and `process.pid` right where the parent's had one. Detectors do not run
    again: upstream's would start threads in the child.
    """
    before = str(resource.attributes.get(SERVICE_INSTANCE_ID, ""))
    instance = _children.setdefault((os.getpid(), before), str(uuid.uuid4()))
    changed: dict[str, str | int] = {SERVICE_INSTANCE_ID: instance}
    if PROCESS_PID in resource.attributes:
        changed[PROCESS_PID] = os.getpid()
    return resource.merge(Resource(changed))
