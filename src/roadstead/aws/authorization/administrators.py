"""The authorizer until policies are evaluated: whoever signs with an access key of the account administers it."""

from __future__ import annotations

from roadstead.aws.authorization import requests


class Administrators:
    """Yes to users and root; no to sessions, which have the rights of a role: nobody here knows those yet."""

    async def decide(self, request: requests.AuthorizationRequest) -> requests.Decision:
        if request.principal.session is None:
            return requests.Decision(True)
        return requests.Decision(False, "policies of roles are not evaluated yet")
