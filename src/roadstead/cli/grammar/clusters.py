"""Flags and commands about clusters, and about what happened to them."""

from __future__ import annotations

from dataclasses import replace

from roadstead.cli.grammar import flags, nodegroups, shared
from roadstead.cli.grammar.flags import Flag, Resource

_ONE_ROUTER = "the VPC's router translates addresses itself, in every zone"
_ALL_GOES = "all nodes go at once, and none is drained"

_GENERAL = (
    replace(shared.CLUSTER_NAME, means="the cluster's name; made up when there is none"),
    Flag("tags", "tags of all that is made", "pairs", lands="metadata.tags", with_file="never"),
    shared.REGION,
    flags.refused(
        Flag("with-oidc", "make an IAM OIDC provider", "truth", default="false", lands="iam.withOIDC"),
        "Roadstead gives pods no AWS identities yet",
    ),
    Flag(
        "zones",
        "the zones; the region's first three when there are none",
        "list",
        lands="availabilityZones",
        with_file="never",
    ),
    Flag(
        "support-type",
        "standard or extended support of the version",
        lands="upgradePolicy.supportType",
        choices=("STANDARD", "EXTENDED"),
        with_file="never",
    ),
    Flag("version", "the version of Kubernetes", lands="metadata.version", with_file="never"),
    shared.CONFIG_FILE,
    shared.TIMEOUT,
    flags.refused(
        Flag(
            "install-vpc-controllers", "install the VPC controller for Windows", "truth", default="false", one_off=True
        ),
        "Roadstead has no Windows nodes",
    ),
    flags.refused(
        Flag("fargate", "a Fargate profile for default and kube-system", "truth", default="false", with_file="never"),
        "Roadstead has no Fargate",
    ),
    Flag("dry-run", "make nothing; print the ClusterConfig", "truth", default="false"),
)

_VPC = flags.grouped(
    "VPC networking",
    Flag("vpc-cidr", "the VPC's addresses", default="192.168.0.0/16", lands="vpc.cidr", with_file="never"),
    Flag(
        "vpc-private-subnets",
        "use these private subnets of a VPC that is there",
        "list",
        lands="vpc.subnets.private",
        with_file="never",
    ),
    Flag(
        "vpc-public-subnets",
        "use these public subnets of a VPC that is there",
        "list",
        lands="vpc.subnets.public",
        with_file="never",
    ),
    flags.refused(
        Flag("vpc-from-kops-cluster", "use the VPC of a kops cluster", with_file="never"),
        "give the subnets by --vpc-private-subnets and --vpc-public-subnets",
    ),
    flags.noted(
        Flag(
            "vpc-nat-mode",
            "NAT gateways: one in each zone, one, or none",
            default="Single",
            choices=("HighlyAvailable", "Single", "Disable"),
            lands="vpc.nat.gateway",
            with_file="never",
        ),
        _ONE_ROUTER,
    ),
)

_KUBECONFIG = flags.grouped(
    "Output kubeconfig",
    *(
        replace(flag, one_off=True)
        for flag in (
            Flag(
                "kubeconfig",
                "where to write the kubeconfig",
                default="~/.kube/config",
                why="without it the files of KUBECONFIG, as kubectl does",
            ),
            flags.refused(
                Flag("authenticator-role-arn", "the role that the kubeconfig assumes"),
                "roles cannot be assumed yet, so nobody would come in with such a kubeconfig",
            ),
            Flag("set-kubeconfig-context", "make the cluster the current context", "truth", default="true"),
            Flag("auto-kubeconfig", "a kubeconfig named for the cluster", "truth", default="false"),
            Flag(
                "authenticator",
                "what gets tokens for kubectl; Roadstead's own flag",
                default="roadstead",
                choices=("roadstead", "aws"),
            ),
        )
    ),
)
_WRITE = replace(
    Flag("write-kubeconfig", "write a kubeconfig", "truth", default="true", one_off=True), group="Output kubeconfig"
)

CREATE = Resource(
    "cluster",
    "Create a cluster.",
    flags=(
        *_GENERAL,
        *flags.grouped(
            "Initial nodegroup",
            Flag("nodegroup-name", "its name; made up when there is none", lands=f"{nodegroups.GROUP}.name"),
            Flag("without-nodegroup", "no nodegroup", "truth", default="false"),
            *nodegroups.CREATE,
        ),
        *nodegroups.POLICIES,
        *_VPC,
        *flags.grouped(
            "Auto Mode",
            flags.refused(
                Flag(
                    "enable-auto-mode",
                    "let EKS choose and run the nodes",
                    "truth",
                    default="false",
                    lands="autoModeConfig.enabled",
                    with_file="never",
                ),
                "Roadstead has no Auto Mode",
            ),
        ),
        *nodegroups.SELECTOR,
        shared.PROFILE,
        *shared.STACKS,
        *_KUBECONFIG,
        _WRITE,
        replace(
            shared.OUTPUT,
            means="print a summary at the end, and the lines on standard error; Roadstead's own flag",
            one_off=True,
        ),
        *shared.EVERYWHERE,
    ),
    action="create:cluster",
)

GET = Resource(
    "cluster",
    "Show clusters.",
    ("clusters",),
    (
        shared.CLUSTER_NAME,
        flags.refused(
            Flag("all-regions", "clusters of all regions", "truth", "A", "false"),
            "ask for one region at a time, by --region",
        ),
        *shared.GET,
        shared.PROFILE,
        *shared.EVERYWHERE,
    ),
    action="get:clusters",
)

DELETE = Resource(
    "cluster",
    "Delete a cluster and its nodegroups.",
    ("clusters",),
    (
        shared.CLUSTER_NAME,
        shared.REGION,
        shared.WAIT,
        Flag(
            "force",
            "go on when something fails",
            "truth",
            default="false",
            why="also when there is no cluster; other failures end it",
        ),
        flags.noted(
            Flag("disable-nodegroup-eviction", "delete pods instead of evicting them", "truth", default="false"),
            _ALL_GOES,
        ),
        *shared.parallel_drain(_ALL_GOES),
        shared.CONFIG_FILE,
        shared.TIMEOUT,
        shared.PROFILE,
        *shared.STACKS,
        *shared.EVERYWHERE,
    ),
    action="delete:cluster",
)

EVENTS = Resource(
    "events",
    "Show what happened, oldest first. Roadstead's own; eksctl has none.",
    ("event",),
    (
        replace(shared.CLUSTER, means="only what happened to this cluster and to what belongs to it"),
        Flag("watch", "go on with what happens from now on", "truth", "w", "false"),
        Flag("severity", "only events of this severity", choices=("NORMAL", "WARNING", "ERROR")),
        *shared.GET,
        shared.PROFILE,
        *shared.EVERYWHERE,
    ),
    action="events:events",
    named_by="cluster",
)

INSIGHTS = Resource(
    "insights",
    "Show whether a cluster is ready for the next version. Roadstead's own; eksctl has none.",
    ("insight",),
    (
        shared.required(shared.CLUSTER),
        Flag("refresh", "look at the cluster first, and wait until that is done", "truth", default="false"),
        Flag("status", "only insights of this status", choices=("PASSING", "WARNING", "ERROR", "UNKNOWN")),
        *shared.GET,
        shared.PROFILE,
        *shared.EVERYWHERE,
    ),
    action="insights:insights",
    named_by="cluster",
)

WRITE_KUBECONFIG = Resource(
    "write-kubeconfig",
    "Write the kubeconfig of a cluster.",
    flags=(
        shared.CLUSTER,
        shared.REGION,
        shared.CONFIG_FILE,
        *_KUBECONFIG,
        shared.TIMEOUT,
        shared.PROFILE,
        *shared.EVERYWHERE,
    ),
    action="access:command",
    named_by="cluster",
)

SCHEMA = Resource(
    "schema",
    "Print the JSON schema of ClusterConfig, as far as Roadstead takes it.",
    flags=shared.EVERYWHERE,
    action="schema:show",
    named_by="",
)

VERSIONS = Resource(
    "describe-cluster-versions",
    "Show the versions of Kubernetes that are offered, with the ends of their support, as JSON.",
    flags=(
        *flags.grouped(
            "Versions",
            Flag(
                "cluster-types",
                "only versions for this type of cluster; there are none for Outposts here",
                choices=("eks", "eks-local-outposts"),
            ),
            Flag("cluster-versions", "only these versions", "list"),
            Flag("include-all", "also versions without any support", "truth", default="false"),
            Flag(
                "status",
                "only versions with this support",
                choices=("STANDARD_SUPPORT", "EXTENDED_SUPPORT", "UNSUPPORTED"),
            ),
            Flag("default-only", "only the version that new clusters have by default", "truth", default="false"),
            flags.noted(shared.CLUSTER, "versions are not a cluster's"),
        ),
        shared.REGION,
        shared.CONFIG_FILE,
        shared.TIMEOUT,
        shared.PROFILE,
        *shared.EVERYWHERE,
    ),
    action="get:versions",
    named_by="",
)
