"""CloudFormation without stacks: they are not built yet. Lists are empty, and no stack that is named exists.

Enough for tools that look for their stacks beside what they find, as eksctl does. Operations that would make one are
not here, so that the dispatcher says of them that there is no such thing.

Source of the sentences: what CloudFormation answers; DeleteStack of a stack that there is not succeeds (CloudFormation
API Reference, DeleteStack).
"""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.aws.authorization import context, resources


async def _stack(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
    """By its name or its id. None named: it could be any."""
    named = asked.get("StackName")
    if not named:
        return ()
    if named.startswith("arn:"):
        return (named,)
    return (f"arn:aws:cloudformation:{call.region}:{call.account}:stack/{named}/{resources.UNKNOWN}",)


_STACK = calls.Resource(("stack",), ("StackName",), _stack)
_CHANGE_SET = (context.member("cloudformation:ChangeSetName", "ChangeSetName"),)
_ROLE = context.member("cloudformation:RoleArn", "RoleARN")
_UPDATE = (
    _ROLE,
    context.tags("Tags"),
    context.member("cloudformation:ResourceTypes", "ResourceTypes"),
    context.member("cloudformation:StackPolicyUrl", "StackPolicyURL"),
    context.member("cloudformation:TemplateUrl", "TemplateURL"),
)
_BY_ID = "Stack with id {} does not exist"
_NAMED = "Stack [{}] does not exist"


def _none(name: str, member: str) -> calls.Handler:
    """The operation `name`, which answers an empty `member`."""

    async def operation(_: calls.Call, __: calls.Asked) -> calls.Answer:
        return {member: []}

    return calls.operation("cloudformation", name, answers="empty", on=resources.ANYTHING)(operation)


def _of_a_stack(name: str, said: str = _BY_ID, *, empty: str | None = None, keys: calls.Context = ()) -> calls.Handler:
    """The operation `name` of a stack, which there is not. empty: the member of its answer when it names none."""

    async def operation(_: calls.Call, asked: calls.Asked) -> calls.Answer:
        named = asked.get("StackName")
        if named:
            store_access.refuse("ValidationError", said.format(named))
        if empty is not None:
            return {empty: []}
        store_access.refuse("ValidationError", "StackName must be specified: there is nothing here that is of no stack")

    return calls.operation("cloudformation", name, answers="empty", on=_STACK, context=keys)(operation)


list_exports = _none("ListExports", "Exports")
list_stacks = _none("ListStacks", "StackSummaries")
list_stack_refactors = _none("ListStackRefactors", "StackRefactorSummaries")
list_stack_sets = _none("ListStackSets", "Summaries")
list_generated_templates = _none("ListGeneratedTemplates", "Summaries")

describe_stacks = _of_a_stack("DescribeStacks", empty="Stacks")
describe_stack_events = _of_a_stack("DescribeStackEvents", _NAMED)
describe_stack_resource = _of_a_stack("DescribeStackResource", "Stack '{}' does not exist")
get_stack_policy = _of_a_stack("GetStackPolicy")
get_template = _of_a_stack("GetTemplate")
list_change_sets = _of_a_stack("ListChangeSets", _NAMED)
list_stack_resources = _of_a_stack("ListStackResources")
update_stack = _of_a_stack("UpdateStack", _NAMED, keys=_UPDATE)
update_termination_protection = _of_a_stack("UpdateTerminationProtection", _NAMED)
cancel_update_stack = _of_a_stack("CancelUpdateStack", _NAMED)


@calls.operation("cloudformation", "DescribeStackResources", answers="empty", on=_STACK)
async def describe_stack_resources(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    """By the stack, or by what one of its resources is: nothing here is a stack's."""
    if asked.get("StackName"):
        store_access.refuse("ValidationError", _BY_ID.format(asked["StackName"]))
    if asked.get("PhysicalResourceId"):
        store_access.refuse("ValidationError", f"Stack for {asked['PhysicalResourceId']} does not exist")
    store_access.refuse("ValidationError", "Either StackName or PhysicalResourceId must be specified")


@calls.operation("cloudformation", "ListImports", answers="empty", on=resources.ANYTHING)
async def list_imports(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    store_access.refuse("ValidationError", f"Export '{asked['ExportName']}' is not imported by any stack.")


@calls.operation("cloudformation", "DescribeChangeSet", answers="empty", on=_STACK, context=_CHANGE_SET)
async def describe_change_set(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    store_access.refuse("ChangeSetNotFound", f"ChangeSet [{asked['ChangeSetName']}] does not exist")


@calls.operation("cloudformation", "DeleteStack", answers="empty", on=_STACK, context=(_ROLE,))
async def delete_stack(_: calls.Call, __: calls.Asked) -> calls.Answer:
    """There is none to delete, which is what was asked for."""
    return {}
