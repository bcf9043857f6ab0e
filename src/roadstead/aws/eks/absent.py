"""What EKS has and no cluster here ever has: add-ons, Fargate profiles, pod identities, identity providers.

Lists are empty, and what is named does not exist; the cluster whose they would be has to be there.
"""

from __future__ import annotations

from typing import NoReturn

from roadstead.aws import calls, store_access
from roadstead.aws.eks import lookups, resources


def _none(name: str, member: str, on: calls.Resource | calls.Resources = resources.CLUSTER) -> calls.Handler:
    """The operation `name`, which answers an empty `member`, of a cluster if one is named."""

    async def operation(call: calls.Call, asked: calls.Asked) -> calls.Answer:
        if "clusterName" in asked:
            await lookups.cluster(call, asked["clusterName"])
        return {member: []}

    return calls.operation("eks", name, answers="empty", on=on)(operation)


def _missing(name: str, member: str, what: str, on: calls.Resource | calls.Resources) -> calls.Handler:
    """The operation `name`, which finds nothing by what is in `member`."""

    async def operation(call: calls.Call, asked: calls.Asked) -> calls.Answer:
        cluster = asked.get("clusterName")
        if cluster is not None:
            await lookups.cluster(call, cluster)
        _refuse(what, asked[member], cluster)

    return calls.operation("eks", name, answers="empty", on=on)(operation)


def _refuse(what: str, name: object, cluster: str | None) -> NoReturn:
    called = name["name"] if isinstance(name, dict) else name
    about = {"clusterName": cluster} if cluster is not None else {}
    within = f" in cluster: {cluster}" if cluster is not None else ""
    store_access.refuse("ResourceNotFoundException", f"No {what}: {called} found{within}", **about)


list_addons = _none("ListAddons", "addons")
list_capabilities = _none("ListCapabilities", "capabilities")
list_eks_anywhere_subscriptions = _none("ListEksAnywhereSubscriptions", "subscriptions", resources.ANYTHING)
list_fargate_profiles = _none("ListFargateProfiles", "fargateProfileNames")
list_identity_provider_configs = _none("ListIdentityProviderConfigs", "identityProviderConfigs")
list_pod_identity_associations = _none("ListPodIdentityAssociations", "associations")
describe_addon_versions = _none("DescribeAddonVersions", "addons", resources.ANYTHING)

describe_addon = _missing("DescribeAddon", "addonName", "addon", resources.ADDON)
describe_addon_configuration = _missing("DescribeAddonConfiguration", "addonName", "addon", resources.ANYTHING)
describe_capability = _missing("DescribeCapability", "capabilityName", "capability", resources.CAPABILITY)
describe_eks_anywhere_subscription = _missing(
    "DescribeEksAnywhereSubscription", "id", "subscription", resources.SUBSCRIPTION
)
describe_fargate_profile = _missing(
    "DescribeFargateProfile", "fargateProfileName", "Fargate Profile", resources.FARGATE_PROFILE
)
describe_identity_provider_config = _missing(
    "DescribeIdentityProviderConfig", "identityProviderConfig", "identity provider config", resources.IDENTITY_PROVIDER
)
describe_pod_identity_association = _missing(
    "DescribePodIdentityAssociation", "associationId", "pod identity association", resources.POD_IDENTITY
)
