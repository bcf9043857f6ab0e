"""STS: who is calling."""

from __future__ import annotations

from roadstead.aws import calls
from roadstead.aws.authorization import resources


@calls.operation("sts", "GetCallerIdentity", on=resources.ANYTHING, needs_permission=False)
async def get_caller_identity(call: calls.Call, _: calls.Asked) -> calls.Answer:
    """Of whoever can sign: a policy that denies it makes no difference (STS API Reference, GetCallerIdentity)."""
    return {"UserId": call.caller.user_id, "Account": call.account, "Arn": call.caller.arn}
