"""What the operations of EKS are about, and the condition keys that they supply.

Source: Service Authorization Reference, "Amazon Elastic Kubernetes Service"; EKS User Guide, "Amazon EKS tags" (who
sets tags on what is made has to be allowed to tag it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roadstead.aws import calls
from roadstead.aws.authorization import context, resources
from roadstead.clusters import nodegroups
from roadstead.clusters.access import entries
from roadstead.store import keys, kinds

ANYTHING = resources.ANYTHING
_ARN = "arn:aws:eks:{region}:{account}:"

CLUSTER = resources.template("cluster", f"{_ARN}cluster/{{clusterName}}")
NAMED_CLUSTER = resources.template("cluster", f"{_ARN}cluster/{{name}}")
TAGGED = resources.template("cluster nodegroup access-entry", "{resourceArn}")
LISTED = resources.template("cluster nodegroup", "{resourceArn}")
"""Of what has tags that are listed: the reference leaves out access entries, whose are listed too."""
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


NODEGROUP = resources.stored(nodegroups.NODEGROUPS, "clusterName", "nodegroupName")
ACCESS_ENTRY = resources.stored(entries.ENTRIES, "clusterName", "principalArn")
UPDATED: calls.Resources = (
    NAMED_CLUSTER,
    resources.stored(nodegroups.NODEGROUPS, "name", "nodegroupName", when="nodegroupName"),
    resources.template("addon", f"{_ARN}addon/{{name}}/{{addonName}}/*", when="addonName"),
    resources.template("capability", f"{_ARN}capability/{{name}}/*/{{capabilityName}}/*", when="capabilityName"),
)
"""What an update is of."""


async def may_tag(call: calls.Call, kind: kinds.Kind[Any], key: keys.Key, tags: Mapping[str, str]) -> None:
    """Raises Denied unless the caller may set these tags, if there are any, on what is made at a key."""
    if tags:
        await call.may("eks:TagResource", resources.new(kind, key), context=dict(context.of_tags(tags)))


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
