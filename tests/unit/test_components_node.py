"""A node's host and units: flags, configuration, labels, taints and reserves as pure functions of facts."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from roadstead.clusters.components import containerd, facts, kube_proxy, kubelet, nodes, registries
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.network import sizes

GOLDEN = Path(__file__).parent / "golden"
RELEASES = ("1.34.4", "1.35.4", "1.36.3", "1.37.2")
NONE = registries.Registries()
TYPE = sizes.find("t3.medium")
SUBNET = "192.168.32.0/19"


def node(release: str = "1.37.2") -> facts.Node:
    return facts.Node(
        id="i-0123456789abcdef0",
        name="ip-192-168-33-7.eu-central-1.compute.internal",
        address="192.168.33.7",
        zone="eu-central-1b",
        region="eu-central-1",
        release=release,
        engines=facts.Engines(
            kubernetes=f"kubernetes-{release}", etcd="etcd-3.6.16", containerd="containerd-2.3.7", runc="runc-1.5.3"
        ),
        instance_type="t3.medium",
        architecture="x86_64",
        most_pods=17,
        labels={
            "alpha.eksctl.io/cluster-name": "cluster-1",
            "alpha.eksctl.io/nodegroup-name": "ng-1",
            "team": "blue",
            "node-role.kubernetes.io/worker": "",
            "eks.amazonaws.com/nodegroup": "not-this",
        },
        taints=(("dedicated", "gpu", "NO_SCHEDULE"), ("old", "", "NO_EXECUTE"), ("slow", "", "PREFER_NO_SCHEDULE")),
        nodegroup="ng-1",
        image="ami-0a1b2c3d",
        api="https://192.168.0.9:443",
        service_cidr="10.100.0.0/16",
        vpc_cidr="192.168.0.0/16",
        pause_image="roadstead.dev/pause:1.0",
        images=(f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"),
    )


def files() -> nodes.Files:
    def digests(names: tuple[str, ...], first: int) -> dict[str, str]:
        return {name: f"sha256:{place:064x}" for place, name in enumerate(names, first)}

    return nodes.Files(kubelet=digests(nodes.KUBELET_FILES, 1), kube_proxy=digests(nodes.KUBE_PROXY_FILES, 10))


def of_kubelet(one: facts.Node) -> desired.Unit:
    return kubelet.unit(one, files().kubelet, TYPE, "192.168.32.2")


def of_containerd(one: facts.Node) -> desired.Unit:
    return containerd.unit(one, NONE, {})


@pytest.mark.parametrize("release", RELEASES)
def test_a_node_is_as_the_golden_file(release: str) -> None:
    one = node(release)
    units = nodes.units(one, files(), TYPE, SUBNET, NONE)
    host = nodes.host(one, "vpc-0123456789abcdef0", ("192.168.40.16/28",), 80, TYPE, SUBNET)
    made = {"host": msgspec.to_builtins(host), "units": {name: _lines(unit) for name, unit in units.items()}}
    assert json.loads(json.dumps(made)) == json.loads((GOLDEN / f"node-{one.minor}.json").read_text())


def test_containers_are_made_from_containerds_own_specification_without_making_devices() -> None:
    """The golden file is what `ctr oci spec` of containerd 2.3.7 says."""
    own = json.loads((GOLDEN / "containerd-spec.json").read_text())
    del own["process"]["rlimits"]
    for kept in own["process"]["capabilities"].values():
        kept.remove("CAP_MKNOD")
        assert "CAP_NET_RAW" in kept
    assert json.loads(containerd.container()) == own
    assert tomllib.loads(containerd.config(node(), NONE))["plugins"]["io.containerd.cri.v1.runtime"]["containerd"][
        "runtimes"
    ]["runc"]["base_runtime_spec"] in {f"/etc/units/containerd/{name}" for name in of_containerd(node()).files}


def test_pods_have_the_runtimes_profile_of_seccomp_unless_they_say_otherwise() -> None:
    assert json.loads(kubelet.config(node(), TYPE))["seccompDefault"] is True


def test_without_a_runc_of_ours_nodes_have_the_machines() -> None:
    def path(one: facts.Node) -> list[str]:
        return of_containerd(one).environment["PATH"].split(":")

    assert path(node())[:2] == ["/engine/runc-1.5.3", "/engine/containerd-2.3.7"]
    without = dataclasses.replace(node(), engines=dataclasses.replace(node().engines, runc=""))
    assert path(without)[:2] == ["/engine/containerd-2.3.7", "/usr/local/sbin"]


def _lines(unit: desired.Unit) -> dict[str, object]:
    """A unit in plain words, contents of files as lines, so that a golden file's difference can be read."""
    plain: dict[str, object] = msgspec.to_builtins(unit)
    plain["files"] = {
        name: {**msgspec.to_builtins(file), **({"content": file.content.splitlines()} if file.content else {})}
        for name, file in unit.files.items()
    }
    return plain


@pytest.mark.parametrize("release", RELEASES)
def test_everything_is_in_the_forms_that_the_agent_takes(release: str) -> None:
    for unit in nodes.units(node(release), files(), TYPE, SUBNET, NONE).values():
        assert msgspec.json.decode(msgspec.json.encode(unit), type=desired.Unit) == unit
    host = nodes.host(node(release), "vpc-0123456789abcdef0", ("192.168.40.16/28",), 80, TYPE, SUBNET)
    assert msgspec.json.decode(msgspec.json.encode(host), type=desired.Host) == host


def test_every_secret_comes_as_a_blob_that_only_its_unit_reads() -> None:
    units = nodes.units(node(), files(), TYPE, SUBNET, NONE)
    secret = {(name, file) for name, unit in units.items() for file, one in unit.files.items() if one.secret}
    assert secret == {("kubelet", "bootstrap.kubeconfig"), ("kube-proxy", "kubeconfig")}
    assert all(units[unit].files[file].blob for unit, file in secret)


def test_kubelet_has_the_labels_of_eks() -> None:
    named = dict(pair.split("=") for pair in str(of_kubelet(node()).flags["node-labels"]).split(","))
    assert named["topology.kubernetes.io/zone"] == "eu-central-1b"
    assert named["topology.kubernetes.io/region"] == "eu-central-1"
    assert named["node.kubernetes.io/instance-type"] == "t3.medium"
    assert named["eks.amazonaws.com/capacityType"] == "ON_DEMAND"
    assert named["eks.amazonaws.com/nodegroup-image"] == "ami-0a1b2c3d"
    assert named["alpha.eksctl.io/cluster-name"] == "cluster-1"
    assert named["team"] == "blue"


def test_a_label_of_the_owner_never_covers_a_computed_one() -> None:
    assert kubelet.labels(node())["eks.amazonaws.com/nodegroup"] == "ng-1"


@pytest.mark.parametrize(
    ("label", "own"),
    [
        ("kubernetes.io/hostname", True),
        ("kubernetes.io/other", False),
        ("x.kubernetes.io/y", False),
        ("x.node.kubernetes.io/y", True),
        ("kubelet.kubernetes.io/y", True),
        ("k8s.io/cloud-provider-aws", False),
        ("topology.k8s.aws/zone-id", True),
        ("notkubernetes.io/y", True),
        ("plain", True),
    ],
)
def test_what_kubelet_may_set(label: str, own: bool) -> None:
    one = dataclasses.replace(node(), labels={label: "v"})
    assert (label in kubelet.labels(one)) is own


def test_taints_are_in_the_words_of_kubernetes() -> None:
    assert kubelet.taints(node()) == [
        {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"},
        {"key": "old", "value": "", "effect": "NoExecute"},
        {"key": "slow", "value": "", "effect": "PreferNoSchedule"},
    ]
    with pytest.raises(errors.Invalid, match=r"taint a: effect 'NoSchedule' is not one of NO_SCHEDULE"):
        kubelet.taints(dataclasses.replace(node(), taints=(("a", "", "NoSchedule"),)))


# The figures of Amazon's own table of reserved processors for 1, 2, 4, 8 and 16 vCPUs.
@pytest.mark.parametrize(("vcpus", "millicores"), [(1, 60), (2, 70), (4, 80), (8, 90), (16, 110)])
def test_reserved_processors(vcpus: int, millicores: int) -> None:
    assert kubelet.reserved_cpu(vcpus) == millicores


def test_names_are_asked_of_the_subnets_resolver_and_the_services_tenth_address() -> None:
    units = nodes.units(node(), files(), TYPE, SUBNET, NONE)
    assert units["kubelet"].files["resolv.conf"].content == "nameserver 192.168.32.2\n"
    assert json.loads(kubelet.config(node(), TYPE))["clusterDNS"] == ["10.100.0.10"]


def test_kubelet_is_known_to_the_cloud_and_trusts_only_the_clusters_authority() -> None:
    config = json.loads(kubelet.config(node(), TYPE))
    assert config["providerID"] == "aws:///eu-central-1b/i-0123456789abcdef0"
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert config["authorization"]["mode"] == "Webhook"
    assert config["readOnlyPort"] == 0


def test_kube_proxy_masquerades_nothing_of_the_vpc() -> None:
    config = json.loads(kube_proxy.config(node()))
    assert (config["mode"], config["detectLocalMode"]) == ("nftables", "ClusterCIDR")
    assert config["clusterCIDR"] == "192.168.0.0/16"
    assert config["conntrack"]["maxPerCore"] == 0


def test_containerds_configuration_is_toml_with_every_path_below_var_run_etc_or_engine() -> None:
    of = registries.Registries(mirrors={"*": ("https://all:5000",), "docker.io": ("https://a", "http://b/v2")})
    config = tomllib.loads(containerd.config(node(), of))
    images = config["plugins"]["io.containerd.cri.v1.images"]
    assert config["version"] == 3
    assert images["pinned_images"]["sandbox"] == "roadstead.dev/pause:1.0"
    assert images["registry"]["mirrors"] == {
        "*": {"endpoint": ["https://all:5000"]},
        "docker.io": {"endpoint": ["https://a", "http://b/v2"]},
    }
    runtime = config["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is True
    assert runtime["cni"]["bin_dirs"] == ["/engine/cni-1.0"]
    paths = [text for text in _texts(config) if text.startswith("/")]
    assert all(path.startswith(("/var/lib/", "/run/", "/etc/units/", "/engine/")) for path in paths), paths


def _texts(of: object) -> list[str]:
    match of:
        case dict():
            return [text for value in of.values() for text in _texts(value)]
        case list():
            return [text for value in of for text in _texts(value)]
        case str():
            return [of]
        case _:
            return []


def test_the_network_configuration_names_one_program_that_may_have_ports() -> None:
    (plugin,) = json.loads(containerd.network())["plugins"]
    assert plugin == {"type": "roadstead-cni", "capabilities": {"portMappings": True}}
