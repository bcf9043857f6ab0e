"""What the operations of EC2 are about, and the condition keys that they supply.

Source: Service Authorization Reference, "Amazon EC2"; EC2 User Guide, "Grant permission to tag Amazon EC2 resources
during creation" (ec2:CreateTags is asked of who sets tags on what is made, and of nobody else).
"""

from __future__ import annotations

from roadstead.aws import calls
from roadstead.aws.authorization import context, inputs, resources

ANYTHING = resources.ANYTHING
_ARN = "arn:aws:ec2:{region}:{account}:"
_TYPES = {"vpc": "vpc", "subnet": "subnet", "sg": "security-group", "i": "instance"}
"""Of what has tags here, by what an id begins with."""

VPC = resources.template("vpc", f"{_ARN}vpc/{{VpcId}}", context=(context.member("ec2:VpcID", "VpcId"),))
NEW_VPC = resources.template("vpc", f"{_ARN}vpc/*")
SUBNET = resources.template(
    "subnet", f"{_ARN}subnet/{{SubnetId}}", context=(context.member("ec2:SubnetID", "SubnetId"),)
)
NEW_SUBNET = resources.template("subnet", f"{_ARN}subnet/*")
GROUPS = resources.template(
    "security-group",
    f"{_ARN}security-group/{{GroupId}}",
    context=(context.member("ec2:SecurityGroupID", "GroupId"),),
)


async def _tagged(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
    """By their ids. What is of no kind that has tags here is of whatever kind it may be."""
    kinds = ((_TYPES.get(id.rpartition("-")[0], resources.UNKNOWN), id) for id in asked["Resources"])
    return tuple(f"arn:aws:ec2:{call.region}:{call.account}:{kind}/{id}" for kind, id in kinds)


TAGGED = calls.Resource(tuple(_TYPES.values()), ("Resources",), _tagged)


def _region(call: calls.Call, _: calls.Asked) -> context.Given:
    return (("ec2:Region", (call.region,)),)


def _attribute(_: calls.Call, asked: calls.Asked) -> context.Given:
    """Which attributes are set, and to what."""
    given = {name: value for name, value in asked.items() if name not in ("VpcId", "SubnetId", "DryRun")}
    if given:
        yield "ec2:Attribute", tuple(given)
    for name in given:
        value = inputs.texts(asked, f"{name}.Value") or inputs.texts(asked, name)
        yield f"ec2:Attribute/{name}", value


REGION = (calls.ContextKey(("ec2:Region",), (), _region),)
"""Of every operation of EC2."""
ATTRIBUTE = (calls.ContextKey(("ec2:Attribute", "ec2:Attribute/${AttributeName}"), (), _attribute),)
SET_TAGS = (context.tags("Tags"),)
REMOVED_TAGS = (context.tag_keys("Tags"),)
NEW = (context.tags("TagSpecifications"),)
"""Of what is made."""


async def may_tag(call: calls.Call, asked: calls.Asked, resource: calls.Resource) -> None:
    """Raises Denied unless the caller may set the tags that are asked for on what is made."""
    tags = [pair for key in NEW for pair in key.values(call, asked)]
    if tags:
        given = dict([*tags, *_region(call, asked), ("ec2:CreateAction", (call.operation,))])
        await call.may("ec2:CreateTags", *await resource.arns(call, asked), context=given)
