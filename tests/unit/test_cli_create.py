"""`create cluster`: flags and files fill the same ClusterConfig, defaults are eksctl's, what cannot be is refused."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from tests.unit import cloud_for_cli
from tests.unit.test_cli_grammar import call

from roadstead.aws.eks.admission import labels
from roadstead.cli import asked, config, defaults, documents, show, validity
from roadstead.cli.actions import building, create
from roadstead.cli.infrastructure import parts
from roadstead.cli.live import follow, progress, screen
from roadstead.clusters.components import kubelet
from roadstead.core import errors

NAMES = defaults.Names("eu-central-1", "brisk-brig-1", "ng-12345678")

HEAD = """\
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-central-1, version: "1.36"}
"""

EKSCTLS_DEFAULTS = """\
accessConfig:
  authenticationMode: API_AND_CONFIG_MAP
addonsConfig: {}
apiVersion: eksctl.io/v1alpha5
availabilityZones:
- us-west-2a
- us-west-2b
cloudWatch:
  clusterLogging: {}
iam:
  vpcResourceControllerPolicy: true
  withOIDC: false
kind: ClusterConfig
kubernetesNetworkConfig:
  ipFamily: IPv4
managedNodeGroups:
- amiFamily: AmazonLinux2023
  desiredCapacity: 2
  disableIMDSv1: true
  disablePodIMDS: false
  iam:
    withAddonPolicies:
      albIngress: false
      appMesh: false
      appMeshPreview: false
      autoScaler: false
      awsLoadBalancerController: false
      certManager: false
      cloudWatch: false
      ebs: false
      efs: false
      externalDNS: false
      fsx: false
      imageBuilder: false
      xRay: false
  instanceSelector: {}
  instanceType: m5.large
  labels:
    alpha.eksctl.io/cluster-name: dev
    alpha.eksctl.io/nodegroup-name: ng-default
  maxSize: 2
  minSize: 2
  name: ng-default
  privateNetworking: false
  securityGroups:
    withLocal: null
    withShared: null
  ssh:
    allow: false
    publicKeyPath: ""
  tags:
    alpha.eksctl.io/nodegroup-name: ng-default
    alpha.eksctl.io/nodegroup-type: managed
  volumeIOPS: 3000
  volumeSize: 80
  volumeThroughput: 125
  volumeType: gp3
metadata:
  name: dev
  region: us-west-2
  version: "1.36"
privateCluster:
  enabled: false
upgradePolicy:
  supportType: ""
vpc:
  autoAllocateIPv6: false
  cidr: 192.168.0.0/16
  clusterEndpoints:
    privateAccess: false
    publicAccess: true
  manageSharedNodeSecurityGroupRules: true
  nat:
    gateway: Single
"""
"""What eksctl's own test of --dry-run expects (integration/tests/dry_run), and the instance type it prints."""


def made(line: str) -> config.ClusterConfig:
    read = call(f"create cluster {line}")
    asked.check(read)
    return create.filled(read, NAMES)


def from_file(text: str) -> config.ClusterConfig:
    resource = call("create cluster").resource
    given = asked.FlagValues(resource, {"managed": True}, frozenset(), file=documents.read(text, "c"))
    asked.check(given)
    return create.filled(given, NAMES)


def work(cloud: cloud_for_cli.Cloud, whole: config.ClusterConfig) -> building.Building:
    silent = screen.LiveScreen(io.StringIO(), live=False)
    log = show.Log(0, to_error=False)
    stage = follow.Stage(log, silent, time.monotonic() + 10, progress.empty(*progress.CREATE))
    return building.Building(cloud, stage, whole)


def test_dry_run_prints_what_eksctl_prints() -> None:
    line = "--version 1.36 --name dev --region us-west-2 --zones us-west-2a,us-west-2b --nodegroup-name=ng-default"
    assert documents.yaml_text(documents.tree(made(line))) == EKSCTLS_DEFAULTS


@pytest.mark.parametrize(
    "line",
    [
        "dev",
        "dev --without-nodegroup",
        "dev -N 3 -m 1 -M 5 --spot --instance-types m5.large,c5.large --node-labels a=b --tags x=y",
        "dev --vpc-private-subnets subnet-1,subnet-2 --vpc-public-subnets subnet-3 -P",
        "dev --zones eu-central-1a,eu-central-1b --node-zones eu-central-1a --vpc-nat-mode Disable --asg-access",
        "dev --enable-node-repair --node-repair-max-parallel-count 2 --support-type STANDARD",
    ],
)
def test_what_dry_run_prints_is_taken_as_a_file_and_means_the_same(line: str) -> None:
    whole = made(line)
    assert from_file(documents.yaml_text(documents.tree(whole))) == whole


def test_names_are_made_up_where_there_are_none() -> None:
    whole = made("")
    assert whole.metadata is not None
    assert (whole.metadata.name, whole.metadata.region) == ("brisk-brig-1", "eu-central-1")
    assert [group.name for group in whole.managed_node_groups or ()] == ["ng-12345678"]
    names = defaults.made_up_names("eu-west-1")
    assert names.cluster.count("-") == 2
    assert names.nodegroup != defaults.made_up_names("eu-west-1").nodegroup


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", (2, 2, 2)),
        ("-N 3", (3, 3, 3)),
        ("-N 0", (0, 0, 1)),
        ("-m 1", (1, 1, 1)),
        ("-m 1 -M 4", (1, 1, 4)),
        ("-N 3 -M 4", (3, 3, 4)),
        ("-m 1 -N 3", (1, 3, 3)),
    ],
)
def test_sizes_that_are_left_out_follow_those_given(line: str, wanted: tuple[int, int, int]) -> None:
    (group,) = made(line).managed_node_groups or ()
    assert (group.min_size, group.desired_capacity, group.max_size) == wanted


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x_y", "validation for x_y failed, name must satisfy regular expression pattern"),
        ("-M 1", "maximum number of nodes must be greater than minimum number of nodes"),
        ("-N=-1", "number of nodes must be 0 or greater"),
        ("--version 2", "is no version of Kubernetes"),
        ("--zones a", "only 1 zone"),
        ("--node-zones a", "zones must be defined if node-zones is provided"),
        ("--zones a,b --node-zones c", "must be a superset of node-zones"),
        ("--vpc-cidr 10.0.0.0/28", "has no room for eight subnets"),
        ("--vpc-cidr 10.0.0.1/16", "has host bits set"),
        ("--vpc-cidr x", "is no range of IPv4 addresses"),
        ("--zones a,b --vpc-public-subnets s", "cannot be used at the same time"),
        ("--managed=false", "managed nodegroups only"),
        ("--node-type a --instance-types b,c", "only one of instanceType and instanceTypes"),
        ("--node-ami-family Bottlerocket", "one image for nodes"),
        ("--ssh-access", "run no SSH server"),
        ("--dry-run --kubeconfig x", "cannot use --kubeconfig with --dry-run"),
        ("--dry-run --profile x", "set the AWS_PROFILE environment variable instead"),
    ],
)
def test_what_flags_cannot_say(line: str, said: str) -> None:
    with pytest.raises(errors.Invalid) as error:
        made(line)
    assert said in error.value.message
    assert "\n" not in error.value.message


def test_labels_are_reserved_here_as_they_are_at_the_service() -> None:
    """What it would refuse when the cluster is there is refused before anything is made."""
    assert validity.RESERVED_LABELS == kubelet.OWN_LABELS
    assert validity.RESERVED_DOMAIN == labels.RESERVED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("iam: {withOIDC: true}", "iam.withOIDC: true is not supported: Roadstead gives pods"),
        ("privateCluster: {enabled: true}", "privateCluster.enabled: true is not supported"),
        ("vpc: {id: vpc-1}", "vpc.id: 'vpc-1' is not supported"),
        ("accessConfig: {accessEntries: [{principalARN: x}]}", "accessConfig.accessEntries: this is not supported"),
        ("managedNodeGroups: [{name: a}, {name: a}]", "managedNodeGroups[1].name: there are two nodegroups"),
        ("managedNodeGroups: [{desiredCapacity: 1}]", "managedNodeGroups[0].name must be set"),
        ("managedNodeGroups: [{name: a, ssh: {allow: true}}]", "managedNodeGroups[0].ssh.allow: true is not supported"),
        ("managedNodeGroups: [{name: a, taints: [{key: x}]}]", "managedNodeGroups[0].taints[0]: key and effect must"),
        ("managedNodeGroups: [{name: a, updateConfig: {}}]", "one of maxUnavailable and maxUnavailablePercentage"),
        (
            "managedNodeGroups: [{name: a, maxSize: 2, updateConfig: {maxUnavailable: 3}}]",
            "managedNodeGroups[0].updateConfig: maxUnavailable 3 is more than the maximum of nodes, 2",
        ),
        (
            "managedNodeGroups: [{name: a, labels: {eks.amazonaws.com/x: y}}]",
            "managedNodeGroups[0].labels: the label eks.amazonaws.com/x is reserved",
        ),
        (
            "managedNodeGroups: [{name: a, labels: {kubernetes.io/hostname: y}}]",
            "managedNodeGroups[0].labels: the label kubernetes.io/hostname is reserved",
        ),
        ("managedNodeGroups: [{name: a, ami: ami-1}]", "managedNodeGroups[0].ami: 'ami-1' is not supported"),
        ("vpc: {clusterEndpoints: {publicAccess: false}}", "vpc.clusterEndpoints.publicAccess: false is not supported"),
        ("vpc: {publicAccessCIDRs: [10.0.0.0/8]}", "vpc.publicAccessCIDRs: this is not supported: Roadstead keeps"),
        ("cloudWatch: {clusterLogging: {enableTypes: [audit]}}", "Roadstead keeps no cluster logs yet"),
        ("vpc: {publicAccessCIDRs: [x]}", "vpc.publicAccessCIDRs: this is not supported"),
        ("availabilityZones: [a, b]\nvpc: {subnets: {}}", "cannot be set at the same time"),
    ],
)
def test_what_a_file_cannot_say(text: str, said: str) -> None:
    with pytest.raises(errors.Invalid) as error:
        from_file(HEAD + text)
    assert said in error.value.message


def test_the_vpc_is_cut_as_eksctl_cuts_it() -> None:
    cut = parts.subnets("dev", "192.168.0.0/16", ("eu-central-1a", "eu-central-1b", "eu-central-1c"))
    assert [(each.cidr, each.zone[-1], each.public) for each in cut] == [
        ("192.168.0.0/19", "a", True),
        ("192.168.32.0/19", "b", True),
        ("192.168.64.0/19", "c", True),
        ("192.168.96.0/19", "a", False),
        ("192.168.128.0/19", "b", False),
        ("192.168.160.0/19", "c", False),
    ]
    assert cut[0].name == "eksctl-dev-cluster/SubnetPublicEUCENTRAL1A"


def test_more_zones_than_the_vpc_has_room_for_are_refused() -> None:
    with pytest.raises(errors.Invalid, match="at most 4 zones"):
        made("--zones a,b,c,d,e")


def test_everything_a_nodegroup_says_is_asked_for() -> None:
    whole = from_file(
        HEAD
        + """
upgradePolicy: {supportType: EXTENDED}
kubernetesNetworkConfig: {serviceIPv4CIDR: 10.100.0.0/16}
accessConfig: {authenticationMode: API, bootstrapClusterCreatorAdminPermissions: false}
vpc: {publicAccessCIDRs: [0.0.0.0/0], clusterEndpoints: {privateAccess: true}}
managedNodeGroups:
- name: ng
  taints: [{key: a, value: b, effect: NoSchedule}]
  updateConfig: {maxUnavailable: 1}
  nodeRepairConfig: {enabled: true}
  availabilityZones: [eu-central-1b]
  privateNetworking: true
  volumeSize: 20
  spot: true
  tags: {mine: x}
"""
    )
    cloud = cloud_for_cli.Cloud()
    create.make(work(cloud, whole), None, call("create cluster"))
    cluster, group = cloud.clusters["dev"], cloud.nodegroups["dev", "ng"]
    assert cluster["upgradePolicy"] == {"supportType": "EXTENDED"}
    assert cluster["kubernetesNetworkConfig"] == {"ipFamily": "ipv4", "serviceIpv4Cidr": "10.100.0.0/16"}
    assert cluster["accessConfig"]["authenticationMode"] == "API"
    assert cluster["accessConfig"]["bootstrapClusterCreatorAdminPermissions"] is False
    assert cluster["resourcesVpcConfig"]["publicAccessCidrs"] == ["0.0.0.0/0"]
    assert cluster["resourcesVpcConfig"]["endpointPrivateAccess"] is True
    assert group["taints"] == [{"key": "a", "value": "b", "effect": "NO_SCHEDULE"}]
    assert (group["updateConfig"], group["nodeRepairConfig"]) == ({"maxUnavailable": 1}, {"enabled": True})
    assert (group["diskSize"], group["capacityType"], group["tags"]["mine"]) == (20, "SPOT", "x")
    (subnet,) = group["subnets"]
    assert cloud.subnets[subnet]["CidrBlock"] == "192.168.128.0/19"
    (mine,) = [name for name in cloud.policies if name.startswith("eksctl-dev-cluster-ServiceRole-")]
    assert len(cloud.policies[mine]) == len(parts.CLUSTER_POLICIES)


def test_what_is_made_has_eksctls_tags_but_for_a_version_of_eksctl() -> None:
    cloud = cloud_for_cli.Cloud()
    create.make(work(cloud, from_file(HEAD + "managedNodeGroups: [{name: ng}]")), None, call("create cluster"))
    owned = {"alpha.eksctl.io/cluster-name": "dev", "eksctl.cluster.k8s.io/v1alpha1/cluster-name": "dev"}
    without_identities = {"alpha.eksctl.io/cluster-oidc-enabled": "false"}

    def tags(thing: dict[str, Any]) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in thing["Tags"]}

    (of_cluster,) = [role for name, role in cloud.roles.items() if "-cluster-" in name]
    (of_nodes,) = [role for name, role in cloud.roles.items() if "-nodegroup-" in name]
    own = [tags(each) for each in (*cloud.vpcs.values(), *cloud.subnets.values(), of_cluster)]
    of_group = [tags(of_nodes), cloud.nodegroups["dev", "ng"]["tags"]]
    for found in (*own, cloud.clusters["dev"]["tags"]):
        assert found.items() >= (owned | without_identities).items()
    for found in of_group:
        assert found.items() >= owned.items()
        assert without_identities.keys().isdisjoint(found)
    assert not [tag for found in (*own, *of_group) for tag in found if "version" in tag]


def test_roles_have_names_that_iam_takes_and_no_other_cluster_has() -> None:
    names = ["a", "cluster-1", "x" * 100, f"{'x' * 99}y"]
    made = [
        role(name, region).name
        for name in names
        for region in ("eu-central-1", "ap-southeast-7")
        for role in (parts.cluster_role, parts.node_role)
    ]
    assert len({name.lower() for name in made}) == len(made)
    assert max(len(name) for name in made) == 64
    assert made[0].startswith("eksctl-a-cluster-ServiceRole-")
