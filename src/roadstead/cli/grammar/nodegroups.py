"""Flags and commands about nodegroups."""

from __future__ import annotations

from dataclasses import replace

from roadstead.cli.grammar import flags, shared
from roadstead.cli.grammar.flags import Flag, Resource

GROUP = "managedNodeGroups[0]"
_NO_SSH = "nodes of Roadstead run no SSH server; use 'roadstead shell'"
_NO_TEMPLATE = "Roadstead has no launch templates yet"
_NO_SELECTOR = "Roadstead selects no instance types; name one by --node-type"
_NO_IMDS = "nodes of Roadstead have no instance metadata yet"
_NO_GPU = "nodes of Roadstead have no such devices, so there is nothing to install"
_KEPT = "kept with the nodegroup; nodes are not repaired by it yet"

CREATE = tuple(
    replace(flag, with_file="never") if not flag.one_off else flag
    for flag in (
        Flag("node-type", "the instance type", short="t", default="m5.large", lands=f"{GROUP}.instanceType"),
        Flag("nodes", "how many nodes", "integer", "N", "2", lands=f"{GROUP}.desiredCapacity"),
        Flag("nodes-min", "the least that the group may have", "integer", "m", "2", lands=f"{GROUP}.minSize"),
        Flag("nodes-max", "the most that the group may have", "integer", "M", "2", lands=f"{GROUP}.maxSize"),
        Flag("node-volume-size", "the nodes' disk, in GiB", "integer", "", "80", lands=f"{GROUP}.volumeSize"),
        flags.noted(
            Flag(
                "node-volume-type",
                "the kind of EBS volume",
                default="gp3",
                choices=("gp2", "gp3", "io1", "io2", "sc1", "st1"),
                lands=f"{GROUP}.volumeType",
            ),
            "a node's disk is a file of the machine",
        ),
        flags.refused(
            Flag("max-pods-per-node", "the most pods on a node", "integer", lands=f"{GROUP}.maxPodsPerNode"),
            _NO_TEMPLATE,
        ),
        flags.refused(Flag("ssh-access", "let SSH in", "truth", default="false", lands=f"{GROUP}.ssh.allow"), _NO_SSH),
        flags.refused(Flag("ssh-public-key", "the key to let in by SSH", lands=f"{GROUP}.ssh.publicKeyPath"), _NO_SSH),
        flags.refused(
            Flag("enable-ssm", "let Session Manager in", "truth", default="false", lands=f"{GROUP}.ssh.enableSsm"),
            "Roadstead has no Systems Manager; use 'roadstead shell'",
        ),
        flags.refused(Flag("node-ami", "the nodes' image", lands=f"{GROUP}.ami"), "Roadstead has one image for nodes"),
        flags.noted(
            Flag(
                "node-ami-family",
                "the family of the nodes' image",
                default="AmazonLinux2023",
                lands=f"{GROUP}.amiFamily",
            ),
            "Roadstead has one image for nodes; Windows and Bottlerocket are refused",
        ),
        Flag(
            "node-private-networking",
            "nodes in private subnets only",
            "truth",
            "P",
            "false",
            lands=f"{GROUP}.privateNetworking",
        ),
        flags.refused(
            Flag("node-security-groups", "more security groups", "list", lands=f"{GROUP}.securityGroups.attachIDs"),
            _NO_TEMPLATE,
        ),
        Flag("node-labels", "labels of the nodes", "pairs", lands=f"{GROUP}.labels"),
        Flag("node-zones", "the zones of the nodes, out of --zones", "list", lands=f"{GROUP}.availabilityZones"),
        flags.refused(
            Flag("instance-prefix", "what instances' names begin with", lands=f"{GROUP}.instancePrefix"),
            _NO_TEMPLATE,
        ),
        flags.refused(Flag("instance-name", "the instances' name", lands=f"{GROUP}.instanceName"), _NO_TEMPLATE),
        flags.refused(
            Flag(
                "disable-pod-imds",
                "keep pods from instance metadata",
                "truth",
                default="false",
                lands=f"{GROUP}.disablePodIMDS",
            ),
            _NO_IMDS,
        ),
        Flag("managed", "a managed nodegroup", "truth", default="true", why="`--managed=false` is refused"),
        Flag("spot", "spot instances", "truth", default="false", lands=f"{GROUP}.spot"),
        flags.noted(
            Flag(
                "enable-node-repair",
                "repair unhealthy nodes",
                "truth",
                default="false",
                lands=f"{GROUP}.nodeRepairConfig.enabled",
            ),
            _KEPT,
        ),
        *(
            flags.noted(Flag(name, means, "integer", lands=f"{GROUP}.nodeRepairConfig.{lands}"), _KEPT)
            for name, means, lands in (
                (
                    "node-repair-max-unhealthy-percentage",
                    "repair stops above this share of unhealthy nodes",
                    "maxUnhealthyNodeThresholdPercentage",
                ),
                (
                    "node-repair-max-unhealthy-count",
                    "repair stops above this many unhealthy nodes",
                    "maxUnhealthyNodeThresholdCount",
                ),
                (
                    "node-repair-max-parallel-percentage",
                    "the share of unhealthy nodes repaired at once",
                    "maxParallelNodesRepairedPercentage",
                ),
                (
                    "node-repair-max-parallel-count",
                    "how many nodes are repaired at once",
                    "maxParallelNodesRepairedCount",
                ),
            )
        ),
        Flag("instance-types", "instance types to choose from", "list", lands=f"{GROUP}.instanceTypes"),
    )
)

_POLICY = "nodes of Roadstead call no AWS API yet, so their role needs no policy for it"
POLICIES = flags.grouped(
    "Cluster and nodegroup add-ons",
    *(
        flags.noted(
            Flag(
                name,
                f"let nodes act for {what}",
                "truth",
                default="false",
                lands=f"{GROUP}.iam.withAddonPolicies.{lands}",
                with_file="never",
            ),
            _POLICY,
        )
        for name, what, lands in (
            ("asg-access", "cluster-autoscaler", "autoScaler"),
            ("external-dns-access", "external-dns", "externalDNS"),
            ("full-ecr-access", "pushing images to ECR", "imageBuilder"),
            ("appmesh-access", "App Mesh", "appMesh"),
            ("appmesh-preview-access", "App Mesh's preview", "appMeshPreview"),
            ("alb-ingress-access", "the load balancer controller", "awsLoadBalancerController"),
        )
    ),
    flags.noted(
        Flag("install-neuron-plugin", "install Neuron's plugin", "truth", default="true", one_off=True), _NO_GPU
    ),
    flags.noted(
        Flag("install-nvidia-plugin", "install NVIDIA's plugin", "truth", default="true", one_off=True), _NO_GPU
    ),
    flags.noted(
        Flag("nodegroup-parallelism", "how many nodegroups to make at once", "integer", default="8"),
        "all nodegroups are made at once",
    ),
)

_SELECTS: tuple[tuple[str, str, flags.Kind, str], ...] = (
    ("vcpus", "this many CPUs", "integer", "vCPUs"),
    ("memory", "this much memory", "text", "memory"),
    ("cpu-architecture", "this architecture", "text", "cpuArchitecture"),
    ("gpus", "this many GPUs", "integer", "gpus"),
    ("neuron-devices", "this many Neuron devices", "integer", "neuron_devices"),
)
SELECTOR = flags.grouped(
    "Instance selector",
    *(
        flags.refused(
            Flag(
                f"instance-selector-{name}",
                f"instance types with {means}",
                kind,
                lands=f"{GROUP}.instanceSelector.{lands}",
            ),
            _NO_SELECTOR,
        )
        for name, means, kind, lands in _SELECTS
    ),
)

NAME = Flag("name", "the nodegroup's name", short="n")

MAKE = Resource(
    "nodegroup",
    "Create a nodegroup.",
    ("ng", "nodegroups"),
    (
        shared.CLUSTER,
        replace(NAME, means="the nodegroup's name; made up when there is none", lands=f"{GROUP}.name"),
        shared.REGION,
        Flag(
            "version",
            "the version of Kubernetes of the nodes",
            default="auto",
            with_file="never",
            why="`auto`, or what the control plane has",
        ),
        shared.CONFIG_FILE,
        *shared.FILTERS,
        flags.noted(
            Flag("update-auth-configmap", "put the role into aws-auth", "truth", default="true"),
            "the service itself lets nodes in",
        ),
        shared.TIMEOUT,
        Flag("dry-run", "make nothing; print the ClusterConfig", "truth", default="false"),
        Flag("subnet-ids", "subnets of the nodes, out of the cluster's VPC", "list", one_off=True),
        flags.noted(
            Flag("skip-outdated-addons-check", "do not look at add-ons", "truth", default="false"),
            "Roadstead manages no add-ons yet",
        ),
        *flags.grouped("New nodegroup", *CREATE),
        *POLICIES,
        *SELECTOR,
        shared.PROFILE,
        *shared.STACKS,
        *shared.EVERYWHERE,
    ),
    action="nodegroups:create",
)

GET = Resource(
    "nodegroup",
    "Show nodegroups.",
    ("ng", "nodegroups"),
    (shared.required(shared.CLUSTER), NAME, *shared.GET, shared.PROFILE, *shared.EVERYWHERE),
    action="get:nodegroups",
)

DELETE = Resource(
    "nodegroup",
    "Delete a nodegroup.",
    ("ng", "nodegroups"),
    (
        shared.CLUSTER,
        shared.REGION,
        replace(NAME, with_file="never"),
        shared.CONFIG_FILE,
        shared.APPROVE,
        *shared.FILTERS,
        flags.refused(
            Flag(
                "only-missing", "delete those that the file does not have", "truth", default="false", with_file="only"
            ),
            "name the nodegroup",
        ),
        flags.noted(
            Flag("update-auth-configmap", "take the role out of aws-auth", "truth", default="true"),
            "the service itself lets nodes in",
        ),
        *shared.DRAIN,
        shared.WAIT,
        shared.TIMEOUT,
        shared.PROFILE,
        *shared.STACKS,
        *shared.EVERYWHERE,
    ),
    action="delete:nodegroups",
)

SCALE = Resource(
    "nodegroup",
    "Change how many nodes a nodegroup has.",
    ("ng", "nodegroups"),
    (
        shared.CLUSTER,
        replace(NAME, lands=f"{GROUP}.name"),
        shared.CONFIG_FILE,
        *(
            Flag(name, means, "integer", short, lands=f"{GROUP}.{lands}", with_file="never")
            for name, means, short, lands in (
                ("nodes", "how many nodes", "N", "desiredCapacity"),
                ("nodes-max", "the most that the group may have", "M", "maxSize"),
                ("nodes-min", "the least that the group may have", "m", "minSize"),
            )
        ),
        shared.REGION,
        shared.TIMEOUT,
        shared.WAIT,
        shared.PROFILE,
        *shared.STACKS,
        *shared.EVERYWHERE,
    ),
    action="scale:nodegroups",
)
