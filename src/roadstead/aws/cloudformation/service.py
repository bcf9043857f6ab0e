"""What serve is given of this service."""

from __future__ import annotations

from roadstead.aws import registry
from roadstead.aws.cloudformation import absent

SERVICE = registry.Service(operations=(absent,))
