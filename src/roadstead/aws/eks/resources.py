"""What the operations of EKS are about, and the condition keys that they supply.

Source: Service Authorization Reference, "Amazon Elastic Kubernetes Service"; EKS User Guide, "Amazon EKS tags" (who
sets tags on what is made has to be allowed to tag it).
"""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.aws import calls
from roadstead.aws.authorization import context, resources
from roadstead.clusters import nodegroups, views
from roadstead.clusters.access import entries
from roadstead.core import errors

ANYTHING = resources.ANYTHING
_ARN = "arn:aws:eks:{region}:{account}:"

CLUSTER = resources.template("cluster", f"{_ARN}cluster/{{clusterName}}")
NAMED_CLUSTER = resources.template("cluster", f"{_ARN}cluster/{{name}}")
TAGGED = resources.template("cluster nodegroup", "{resourceArn}")
ADDON = resources.template("addon", f"{_ARN}addon/{{clusterName}}/{{addonName}}/*")
CAPABILITY = resources.template("capability", f"{_ARN}capability/{{clusterName}}/*/{{capabilityName}}/*")
FARGATE_PROFILE = resources.template("fargateprofile", f"{_ARN}fargateprofile/{{clusterName}}/{{fargateProfileName}}/*")
IDENTITY_PROVIDER = resources.template(
    "identityproviderconfig",
    f"{_ARN}identityproviderconfig/{{clusterName}}/{{identityProviderConfig.type}}/{{identityProviderConfig.name}}/*",
)
POD_IDENTITY = resources.template(
    "podidentityassociation", f"{_ARN}podidentityassociation/{{clusterName}}/{{associationId}}"
)
SUBSCRIPTION = resources.template("eks-anywhere-subscription", f"{_ARN}eks-anywhere-subscription/{{id}}")


async def _nodegroup(call: calls.Call, asked: calls.Asked, cluster: str = "clusterName") -> tuple[str, ...]:
    """With the id of the one that there is: a policy may be of that alone, and not of its namesakes."""
    of, name = asked[cluster], asked["nodegroupName"]
    try:
        state = await call.store.get(nodegroups.key(call.account, call.region, of, name))
    except errors.Invalid:
        state = None
    return (new_nodegroup(call, of, name) if state is None else views.arn(state.desired),)


async def _updated_nodegroup(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
    return await _nodegroup(call, asked, "name") if asked.get("nodegroupName") else ()


async def _access_entry(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
    cluster, principal = asked["clusterName"], asked["principalArn"]
    try:
        key = entries.key(call.account, call.region, cluster, principal)
        state = await call.store.get(key)
    except errors.Invalid:
        state = None
    return (new_entry(call, cluster, principal) if state is None else entries.arn(state.key, state.desired.created),)


NODEGROUP = calls.Resource(("nodegroup",), ("clusterName", "nodegroupName"), _nodegroup)
ACCESS_ENTRY = calls.Resource(("access-entry",), ("clusterName", "principalArn"), _access_entry)
UPDATED: calls.Resources = (
    NAMED_CLUSTER,
    calls.Resource(("nodegroup",), ("name", "nodegroupName"), _updated_nodegroup),
    resources.template("addon", f"{_ARN}addon/{{name}}/{{addonName}}/*", when="addonName"),
    resources.template("capability", f"{_ARN}capability/{{name}}/*/{{capabilityName}}/*", when="capabilityName"),
)
"""What an update is of."""


def new_cluster(call: calls.Call, name: str) -> str:
    return f"arn:aws:eks:{call.region}:{call.account}:cluster/{name}"


def new_nodegroup(call: calls.Call, cluster: str, name: str) -> str:
    return f"arn:aws:eks:{call.region}:{call.account}:nodegroup/{cluster}/{name}/{resources.UNKNOWN}"


def new_entry(call: calls.Call, cluster: str, principal: str) -> str:
    try:
        of = entries.principal(principal)
        who = "/".join(part for part in (of.kind, of.account, of.name) if part)
    except errors.Invalid:
        # It will be refused; until then it is whosever it may be.
        who = resources.UNKNOWN
    return f"arn:aws:eks:{call.region}:{call.account}:access-entry/{cluster}/{who}/{resources.UNKNOWN}"


async def may_tag(call: calls.Call, arn: str, tags: Mapping[str, str]) -> None:
    """Raises Denied unless the caller may set these tags, if there are any, on what is made."""
    if tags:
        await call.may("eks:TagResource", arn, context=dict(context.of_tags(tags)))


def _logging(_: calls.Call, asked: calls.Asked) -> context.Given:
    for setup in asked.get("logging", {}).get("clusterLogging") or ():
        for type in setup.get("types") or ():
            yield f"eks:loggingType/{type}", (str(bool(setup.get("enabled"))).lower(),)


TAGS = (context.tags("tags"),)
UNTAGGED = (context.tag_keys("tagKeys"),)
VERSION = context.members({"eks:kubernetesVersion": "version"})
_SETTINGS = (
    *context.members(
        {
            "eks:authenticationMode": "accessConfig.authenticationMode",
            "eks:blockStorageEnabled": "storageConfig.blockStorage.enabled",
            "eks:computeConfigEnabled": "computeConfig.enabled",
            "eks:controlPlaneEgressMode": "resourcesVpcConfig.controlPlaneEgressMode",
            "eks:controlPlaneScalingTier": "controlPlaneScalingConfig.tier",
            "eks:deletionProtection": "deletionProtection",
            "eks:elasticLoadBalancingEnabled": "kubernetesNetworkConfig.elasticLoadBalancing.enabled",
            "eks:endpointPrivateAccess": "resourcesVpcConfig.endpointPrivateAccess",
            "eks:endpointPublicAccess": "resourcesVpcConfig.endpointPublicAccess",
            "eks:supportType": "upgradePolicy.supportType",
            "eks:zonalShiftEnabled": "zonalShiftConfig.enabled",
        }
    ),
    context.present("eks:kubeApiServerConfig", "kubeApiServerConfig"),
    context.present("eks:kubeControllerManagerConfig", "kubeControllerManagerConfig"),
    context.present("eks:kubeSchedulerConfig", "kubeSchedulerConfig"),
    calls.ContextKey(("eks:loggingType/${type}",), ("logging.clusterLogging",), _logging),
)
CHANGED_CLUSTER = _SETTINGS
NEW_CLUSTER = (
    *TAGS,
    *VERSION,
    *_SETTINGS,
    *context.members(
        {
            "eks:bootstrapClusterCreatorAdminPermissions": "accessConfig.bootstrapClusterCreatorAdminPermissions",
            "eks:bootstrapSelfManagedAddons": "bootstrapSelfManagedAddons",
            "eks:encryptionConfigProviderKeyArns": "encryptionConfig.provider.keyArn",
        }
    ),
)
NEW_ENTRY = (
    *TAGS,
    *context.members(
        {
            "eks:accessEntryType": "type",
            "eks:kubernetesGroups": "kubernetesGroups",
            "eks:principalArn": "principalArn",
            "eks:username": "username",
        }
    ),
)
POLICY = context.members({"eks:policyArn": "policyArn"})
NEW_POLICY = (
    *POLICY,
    *context.members({"eks:accessScope": "accessScope.type", "eks:namespaces": "accessScope.namespaces"}),
)
