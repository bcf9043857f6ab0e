"""STS: who is calling."""

from __future__ import annotations

from roadstead.aws import calls


@calls.operation("sts", "GetCallerIdentity")
async def get_caller_identity(call: calls.Call, _: calls.Asked) -> calls.Answer:
    return {"UserId": call.caller.user_id, "Account": call.account, "Arn": call.caller.arn}
