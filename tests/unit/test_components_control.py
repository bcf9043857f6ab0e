"""The units of a control plane: as the golden files of each minor say, and never what must not be."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import msgspec
import pytest
from tests.unit import control_plane_facts

from roadstead.agent.links import topology
from roadstead.clusters import spec
from roadstead.clusters.components import (
    apiserver,
    controller_manager,
    edge,
    etcd,
    facts,
    hosts,
    scheduler,
)
from roadstead.clusters.components.control import files, policies
from roadstead.contract import layout
from roadstead.contract.messages import desired
from roadstead.core import errors

GOLDEN = Path(__file__).parent / "golden"
RELEASES = ("1.34.4", "1.35.4", "1.36.3", "1.37.2")
CIDR = "198.19.0.0/26"
PLANE = control_plane_facts.plane("1.37.2")


def digests(id: str) -> dict[str, str]:
    """A digest for each file of a unit."""
    return {
        name: f"sha256:{hashlib.sha256(f'{id}/{name}'.encode()).hexdigest()}"
        for name in sorted(control_plane_facts.FILES[id])
    }


def units(plane: facts.ControlPlane, letter: str = "b") -> dict[str, desired.Unit]:
    """One of each."""
    api = f"api-{letter}"
    return {
        "etcd": etcd.unit(plane, letter, {**digests(f"etcd-{letter}/etcd"), etcd.SEED: f"sha256:{'5' * 64}"}),
        "kube-apiserver": apiserver.unit(plane, letter, digests(f"{api}/kube-apiserver")),
        "kube-controller-manager": controller_manager.unit(plane, letter, digests(f"{api}/kube-controller-manager")),
        "kube-scheduler": scheduler.unit(plane, letter, digests(f"{api}/kube-scheduler")),
        "proxy-1": edge.unit(plane, 1, digests("edge/proxy-1")),
    }


@pytest.mark.parametrize("release", RELEASES)
def test_units_are_as_in_the_golden_files(release: str) -> None:
    """`GOLDEN=write` in the environment writes them anew."""
    plane = control_plane_facts.plane(release)
    found = msgspec.json.format(msgspec.json.encode(units(plane), order="sorted"), indent=1).decode() + "\n"
    path = GOLDEN / f"control-plane-{plane.minor}.json"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(found)
    assert found == path.read_text()


def test_a_member_without_a_seed_begins_with_nothing() -> None:
    without = etcd.unit(PLANE, "b", digests("etcd-b/etcd"))
    seeded = units(PLANE)["etcd"]
    assert without.first is None
    assert seeded.first is not None
    assert msgspec.structs.replace(seeded, first=None, files=without.files) == without
    # A member that took itself for another, or for one of another cluster, would never meet the others.
    assert seeded.first.flags.items() <= without.flags.items()


@pytest.mark.parametrize("unit", units(PLANE))
def test_secrets_come_as_blobs_and_nothing_else_is_secret(unit: str) -> None:
    for name, file in units(PLANE)[unit].files.items():
        assert file.secret == files.secret(name)
        assert (file.blob is None) != (file.content is None)
        assert not (file.secret and file.content is not None)


@pytest.mark.parametrize("unit", units(PLANE))
def test_every_file_that_flags_name_is_there(unit: str) -> None:
    made = units(PLANE)[unit]
    folder = f"{layout.FILES}/{unit}/"
    values = [str(value) for value in made.flags.values()]
    values += made.first.arguments if made.first is not None else ()
    named = {value.removeprefix(folder) for value in values if value.startswith(layout.FILES)}
    assert named <= set(made.files)
    # Three files of a proxy are named by its configuration, and so is how an API server comes to porter.
    contents = set(made.files) - {"ca.pem", edge.WATCH, edge.SESSIONS, "authorization.kubeconfig"}
    assert contents <= named, "a file that nothing reads"


def test_no_word_of_the_group_that_nothing_can_refuse() -> None:
    assert "system:masters" not in msgspec.json.encode(units(PLANE)).decode()


def test_etcd_listens_in_its_network_and_on_loopback_only() -> None:
    flags = units(PLANE)["etcd"].flags
    listened = [url for name in flags if name.startswith("listen-") for url in str(flags[name]).split(",")]
    own = PLANE.members[1].etcd
    assert sorted(listened) == sorted([f"https://{own}:2379", "https://127.0.0.1:2379", f"https://{own}:2380"])
    assert flags["client-cert-auth"] == flags["peer-client-cert-auth"] == "true"


def test_an_api_server_knows_its_own_zones_etcd_only() -> None:
    for letter, member in zip("abc", PLANE.members, strict=True):
        assert units(PLANE, letter)["kube-apiserver"].flags["etcd-servers"] == f"https://{member.etcd}:2379"


def test_members_of_one_group_and_of_no_other_cluster() -> None:
    assert {units(PLANE, letter)["etcd"].group for letter in "abc"} == {"c-1a2b3c4d.etcd"}
    assert {units(PLANE, letter)["kube-apiserver"].group for letter in "abc"} == {"c-1a2b3c4d.api"}


def test_no_letter_but_the_members() -> None:
    with pytest.raises(StopIteration):
        etcd.unit(PLANE, "d", {})


def test_names_of_ours_are_decided_at_porters_door_before_anything_else() -> None:
    chain = json.loads(policies.authorization(["X509SHA256=1", "X509SHA256=2"]))["authorizers"]
    assert [each["type"] for each in chain] == ["Webhook", "Node", "RBAC"]
    webhook = chain[0]["webhook"]
    assert webhook["failurePolicy"] == "Deny"
    assert not webhook["cacheUnauthorizedRequests"], "a renewed certificate would be refused for a while"
    (condition,) = webhook["matchConditions"]
    assert "['X509SHA256=1', 'X509SHA256=2']" in condition["expression"]
    for unit in apiserver.unit(PLANE, "b", digests("api-b/kube-apiserver")).flags:
        assert not unit.startswith("authorization-") or unit == "authorization-config"


def test_anonymous_is_for_health_only() -> None:
    document = json.loads(policies.anonymous())
    assert [each["path"] for each in document["anonymous"]["conditions"]] == ["/healthz", "/livez", "/readyz"]


def audited(group: str, resource: str, verb: str, user: str = "somebody") -> str:
    """The level of a request, by the first rule that matches."""
    for rule in json.loads(policies.audit())["rules"]:
        named = {(each["group"], name) for each in rule.get("resources", []) for name in each["resources"]}
        if "nonResourceURLs" in rule or "userGroups" in rule:
            continue
        if named and (group, resource) not in named:
            continue
        if user in rule.get("users", [user]) and verb in rule.get("verbs", [verb]):
            return str(rule["level"])
    raise AssertionError("no rule matches")


@pytest.mark.parametrize(
    ("group", "resource", "verb", "user", "level"),
    [
        ("", "secrets", "create", "somebody", "Metadata"),
        ("", "secrets", "update", "roadstead:serve", "Metadata"),
        ("", "secrets", "get", "somebody", "Metadata"),
        ("", "secrets", "list", "system:kube-controller-manager", "Metadata"),
        ("", "secrets", "watch", "roadstead:serve", "Metadata"),
        ("", "configmaps", "get", "system:kube-scheduler", "Metadata"),
        ("", "endpoints", "watch", "system:kube-proxy", "Metadata"),
        ("", "pods", "list", "roadstead:serve", "Metadata"),
        ("", "configmaps", "patch", "somebody", "Metadata"),
        ("", "serviceaccounts/token", "create", "somebody", "Metadata"),
        ("authentication.k8s.io", "tokenreviews", "create", "somebody", "Metadata"),
        ("apps", "deployments", "create", "somebody", "Request"),
        ("apps", "deployments", "list", "somebody", "Metadata"),
        ("apps", "deployments", "watch", "system:kube-controller-manager", "Metadata"),
        ("coordination.k8s.io", "leases", "update", "somebody", "None"),
    ],
)
def test_what_is_written_of_a_request(group: str, resource: str, verb: str, user: str, level: str) -> None:
    assert audited(group, resource, verb, user) == level


def test_nobody_is_left_out_of_the_log_by_name() -> None:
    rules = json.loads(policies.audit())["rules"]
    assert [rule for rule in rules if rule["level"] == "None" and rule.keys() & {"users", "userGroups"}] == []


def test_hosts_stand_where_the_agent_lets_them() -> None:
    vpc = desired.Network(
        cidrs=(PLANE.vpc_cidr,),
        subnets=tuple(
            desired.Subnet(id=f"s{n}", cidr=f"192.168.{32 * n}.0/19", zone=member.zone)
            for n, member in enumerate(PLANE.members)
        ),
    )
    whole = topology.Topology(
        networks={"vpc-1": vpc, hosts.network_id(PLANE): hosts.network(PLANE, CIDR, 1000)},
        hosts={
            f"{PLANE.id}.{name}": hosts.host(PLANE, "vpc-1", name, spec.zone(PLANE.region, name))
            for name in hosts.hosts(PLANE)
        },
        zones={},
        publishes={"endpoint": hosts.publish(PLANE)},
    )
    assert len(whole.hosts) == 7
    assert topology.check(whole) == []
    assert len({host.hostname for host in whole.hosts.values()}) == 7
    with pytest.raises(errors.NotFound, match="no control host"):
        hosts.host(PLANE, "vpc-1", "api-d", "z")


def test_the_edge_sends_to_every_api_server_and_asks_each() -> None:
    text = edge.configuration(PLANE, 2)
    for n, member in enumerate(PLANE.members):
        assert f"server api-{member.letter} {member.api}:443 check addr 127.0.0.1 port {8420 + n}\n" in text
        asks = text[text.index(f"bind 127.0.0.1:{8420 + n}\n") :].partition("\nlisten")[0]
        assert f"server api-{member.letter} {member.api}:443 ssl verify required" in asks
    assert "bind 198.19.0.52:443" in text
    assert "bind 192.168.0.5:443" in text
    assert "bind 127.0.0.1:8442" in text


def test_checks_have_connections_that_no_caller_can_take() -> None:
    text = edge.configuration(PLANE, 1)
    whole, *sides = (int(found) for found in re.findall(r"^  maxconn (\d+)$", text, re.MULTILINE))
    assert len(sides) == 2
    # Each of three servers is asked by one connection to the proxy itself, and by one of its own to the server.
    assert sum(sides) + 100 <= whole
    for bind in ("bind 198.19.0.52:443\n", "bind 192.168.0.5:443\n"):
        side = text[text.index(bind) :].partition("\nfrontend")[0]
        (each,) = re.findall(r"reject if { sc0_conn_cur gt (\d+) }", side)
        assert 5 * int(each) < min(sides)
        assert "track-sc0 src\n" in side


def test_the_edge_ends_no_connection_because_a_check_failed() -> None:
    text = edge.configuration(PLANE, 1)
    assert "shutdown-sessions" not in text
    for member in PLANE.members:
        assert f"server alive-{member.letter} {member.api}:443 backup" in text


def test_the_two_proxies_ask_for_checks_that_do_not_share_their_answers() -> None:
    asked = {re.findall(r"GET uri (\S+)", edge.configuration(PLANE, number))[0] for number in (1, 2)}
    assert asked == {"/readyz?exclude=etcd", "/readyz?exclude=etcd-readiness"}
