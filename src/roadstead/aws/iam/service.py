"""What serve is given of this service."""

from __future__ import annotations

from roadstead.aws import registry
from roadstead.aws.iam import absent, account, policies, roles, users
from roadstead.identity import roles as role_specs
from roadstead.identity import users as user_specs

SERVICE = registry.Service(
    operations=(roles, users, policies, account, absent),
    kinds=(role_specs.ROLES, user_specs.USERS, user_specs.ACCESS_KEYS),
)
