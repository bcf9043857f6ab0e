"""What serve is given of this service."""

from __future__ import annotations

from roadstead.aws import registry
from roadstead.aws.sts import identity

SERVICE = registry.Service(operations=(identity,))
