"""What serve is given of this service."""

from __future__ import annotations

from roadstead.aws import registry
from roadstead.aws.roadstead import events, parts, status

SERVICE = registry.Service(operations=(status, events, parts))
