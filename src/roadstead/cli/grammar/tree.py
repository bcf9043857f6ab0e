"""All of eksctl's verbs with all their resources: those that are here, and those that are not, with the reason."""

from __future__ import annotations

from roadstead.cli.grammar import clusters, nodegroups
from roadstead.cli.grammar.flags import Resource, Verb

_NO_ADDONS = "Roadstead manages no add-ons yet"
_NO_PODS = "Roadstead gives pods no AWS identities yet"
_NO_ENTRIES = "this command is not there yet; aws eks has the operations"
_NO_MAPPINGS = "aws-auth lets nobody in here; make access entries: aws eks create-access-entry"
_NO_FARGATE = "Roadstead has no Fargate"
_NO_CAPABILITIES = "Roadstead has no EKS capabilities"
_NO_OIDC = "Roadstead associates no OIDC identity providers yet"
_NOT_YET = "this command is not there yet"
_NO_UPGRADES = "this command is not there yet; aws eks update-cluster-version updates a control plane"
_NO_STACKS = "Roadstead makes no CloudFormation stacks"
_NO_COMPONENTS = "Roadstead chooses the flags of the control plane itself"

_ABSENT = {
    "addon": (_NO_ADDONS, ("addons",)),
    "accessentry": (_NO_ENTRIES, ("accessentries",)),
    "capability": (_NO_CAPABILITIES, ("capabilities",)),
    "fargateprofile": (_NO_FARGATE, ("fargateprofiles",)),
    "iamidentitymapping": (_NO_MAPPINGS, ("iamidentitymappings",)),
    "iamserviceaccount": (_NO_PODS, ("iamserviceaccounts",)),
    "podidentityassociation": (_NO_PODS, ("podidentityassociations",)),
}


def _absent(what: str, **reasons: str) -> tuple[Resource, ...]:
    """Resources that are not here: those that create, get and delete share, and others with their reasons."""
    common = [Resource(name, what, aliases, why=why) for name, (why, aliases) in _ABSENT.items()]
    return (*common, *_refused(**reasons))


def _refused(**reasons: str) -> tuple[Resource, ...]:
    return tuple(Resource(name.replace("_", "-"), "Not here.", why=why) for name, why in reasons.items())


VERBS = (
    Verb(
        "create",
        "Create a cluster or a nodegroup.",
        (clusters.CREATE, nodegroups.MAKE, *_absent("Not here.")),
    ),
    Verb(
        "get",
        "Show clusters, nodegroups, events and insights.",
        (
            clusters.GET,
            nodegroups.GET,
            clusters.EVENTS,
            clusters.INSIGHTS,
            *_absent("Not here.", identityprovider=_NO_OIDC, labels=_NOT_YET),
        ),
    ),
    Verb("scale", "Change how many nodes a nodegroup has.", (nodegroups.SCALE,)),
    Verb("delete", "Delete a cluster or a nodegroup.", (clusters.DELETE, nodegroups.DELETE, *_absent("Not here."))),
    Verb(
        "utils",
        "Odds and ends.",
        (
            clusters.SCHEMA,
            clusters.WRITE_KUBECONFIG,
            clusters.VERSIONS,
            *_refused(
                associate_iam_oidc_provider=_NO_PODS,
                describe_addon_configuration=_NO_ADDONS,
                describe_addon_versions=_NO_ADDONS,
                describe_stacks=_NO_STACKS,
                enable_secrets_encryption="Roadstead has no KMS keys yet",
                install_vpc_controllers="Roadstead has no Windows nodes",
                migrate_to_access_entry=_NO_MAPPINGS,
                migrate_to_pod_identity=_NO_PODS,
                nodegroup_health="use 'get nodegroup'",
                set_public_access_cidrs=_NOT_YET,
                update_authentication_mode=_NOT_YET,
                update_aws_node=_NO_ADDONS,
                update_cluster_endpoints=_NOT_YET,
                update_cluster_logging=_NOT_YET,
                update_cluster_vpc_config=_NOT_YET,
                update_control_plane_component_config=_NO_COMPONENTS,
                update_coredns=_NO_ADDONS,
                update_kube_proxy=_NO_ADDONS,
                update_legacy_subnet_settings=_NOT_YET,
                update_zonal_shift_config="Roadstead has no zonal shift",
            ),
        ),
    ),
)

ABSENT_VERBS = {
    "associate": _NO_OIDC,
    "deregister": "Roadstead registers no clusters of others",
    "disassociate": _NO_OIDC,
    "drain": _NOT_YET,
    "enable": "Roadstead installs no Flux",
    "register": "Roadstead registers no clusters of others",
    "set": _NOT_YET,
    "unset": _NOT_YET,
    "update": _NOT_YET,
    "upgrade": _NO_UPGRADES,
}
"""eksctl's verbs of which nothing is here."""


def verb(name: str) -> Verb:
    """Of those that there are."""
    return next(each for each in VERBS if each.name == name)
