"""The question that an operation's declaration and a request make: asked before the operation is done."""

from __future__ import annotations

from roadstead.aws import calls


async def check(declared: calls.Authorization, call: calls.Call, asked: calls.Asked) -> None:
    """Raises Denied unless the caller may do what is asked, to all that it is about."""
    if not declared.needs_permission:
        return
    arns = [arn for resource in declared.resources for arn in await resource.arns(call, asked)]
    context = dict(pair for key in declared.context for pair in key.values(call, asked))
    await call.may(declared.action, *arns, context=context)
