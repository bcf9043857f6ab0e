"""What serve is given of this service."""

from __future__ import annotations

from roadstead.aws import registry
from roadstead.aws.iam import absent, account, policies, roles, users

SERVICE = registry.Service(operations=(roles, users, policies, account, absent))
