"""Wrong input against the real AWS API, as boto3 sends it: one clear sentence each, and nothing is kept of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]
import msgspec
import pytest
from testkit.worlds import memory
from tests.wire.customer import QUICK, Customer, told

from roadstead.clusters import spec
from roadstead.clusters.allocation import allocator
from roadstead.clusters.capacity import facts
from roadstead.contract.messages import machine
from roadstead.core import errors
from roadstead.network import spec as network

GIB = 2**30
SMALL = machine.Machine(memory=4 * GIB, available=3 * GIB, cores=2, disk=40 * GIB, free=30 * GIB, kernel="6.1.0")
LAN = (
    machine.Route(to="0.0.0.0/0", device="eth0", via="192.168.1.1"),
    machine.Route(to="192.168.1.0/24", device="eth0"),
)


def test_clusters_that_cannot_be(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        create = customer.eks.create_cluster
        narrow = customer.subnet("192.168.64.0/28", "a"), customer.subnet("192.168.64.16/28", "a")
        wrong: list[tuple[dict[str, Any], str, str]] = [
            ({"name": "-shop"}, "InvalidParameterException", "'name'"),
            ({"name": "s" * 101}, "InvalidParameterException", "'name'"),
            ({"name": "a shop"}, "InvalidParameterException", "'name'"),
            ({"version": "1.30"}, "InvalidParameterException", "offers 1.34, 1.35, 1.36, 1.37"),
            ({"roleArn": customer.roles[1]["Arn"]}, "InvalidParameterException", "could not be assumed"),
            ({"subnets": ["subnet-0"]}, "InvalidParameterException", "'subnet-0' does not exist"),
            ({"subnets": list(narrow)}, "InvalidParameterException", "two different AZs; these are in eu-central-1a"),
            (
                {"kubernetesNetworkConfig": {"serviceIpv4Cidr": "192.168.0.0/20"}},
                "InvalidParameterException",
                "overlaps the VPC's 192.168.0.0/16",
            ),
            (
                {"kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.1.0.0/25"}},
                "InvalidParameterException",
                "between /12 and /24",
            ),
        ]
        for change, code, words in wrong:
            found = customer.refused(create, **customer.cluster(**change))
            assert found[0] == code, (change, found)
            assert words in found[1], (change, found)
        create(**customer.cluster())
        customer.eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        taken = customer.refused(create, **customer.cluster())
        assert taken == ("ResourceInUseException", "Cluster already exists with name: shop")

    told(tmp_path, story)


def test_what_would_keep_nobody_out_and_log_nothing(tmp_path: Path) -> None:
    """To say yes to it would be a false sense of safety; what asks for the defaults is taken."""

    def story(customer: Customer) -> None:
        create, update = customer.eks.create_cluster, customer.eks.update_cluster_config
        logging = {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}
        wrong: list[tuple[dict[str, Any], dict[str, Any], str]] = [
            ({"endpointPublicAccess": False, "endpointPrivateAccess": True}, {}, "endpointPublicAccess false is not"),
            ({"publicAccessCidrs": ["10.0.0.0/8"]}, {}, "publicAccessCidrs 10.0.0.0/8 are not built yet"),
            ({"publicAccessCidrs": ["0.0.0.0/0", "10.1.2.3/32"]}, {}, "publicAccessCidrs 10.1.2.3/32 are not"),
            ({}, {"logging": logging}, "logging of api, audit is not built yet"),
        ]
        for vpc, other, words in wrong:
            asked = customer.cluster(**other)
            asked["resourcesVpcConfig"].update(vpc)
            code, said = customer.refused(create, **asked)
            assert (code, words in said) == ("InvalidParameterException", True), said
        asked = customer.cluster(logging={"clusterLogging": [{"types": ["api", "audit"], "enabled": False}]})
        asked["resourcesVpcConfig"].update(
            endpointPublicAccess=True, endpointPrivateAccess=False, publicAccessCidrs=["0.0.0.0/0"]
        )
        create(**asked)
        customer.eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        for vpc, other, words in wrong:
            change = {"resourcesVpcConfig": vpc} if vpc else other
            code, said = customer.refused(update, name="shop", **change)
            assert (code, words in said) == ("InvalidParameterException", True), said
        update(name="shop", resourcesVpcConfig={"endpointPublicAccess": True, "endpointPrivateAccess": True})

    told(tmp_path, story)


def test_a_region_that_there_is_not(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        far = customer.place.client("eks", "eu-nowhere-9")
        code, said = customer.refused(far.create_cluster, **customer.cluster())
        assert (code, "valid region" in said) == ("InvalidSignatureException", True)

    told(tmp_path, story)


def test_networks_that_cannot_be(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        vpcs, subnets = customer.ec2.create_vpc, customer.ec2.create_subnet
        for cidr in ("10.0.0.0/29", "10.0.0.0/15", "198.18.4.0/24", "198.19.0.0/20", "127.0.0.0/16"):
            assert customer.refused(vpcs, CidrBlock=cidr)[0] == "InvalidVpc.Range", cidr
        inside = {"VpcId": customer.vpc}
        far = {"CidrBlock": "192.168.96.0/19", "AvailabilityZone": "us-east-1a"}
        code, said = customer.refused(subnets, **inside, **far)
        assert (code, "eu-central-1a, eu-central-1b, eu-central-1c" in said) == ("InvalidParameterValue", True)
        assert customer.refused(subnets, **inside, CidrBlock="192.168.96.0/29")[0] == "InvalidSubnet.Range"
        assert customer.refused(subnets, **inside, CidrBlock="10.0.0.0/24")[0] == "InvalidSubnet.Range"
        assert customer.refused(subnets, **inside, CidrBlock="192.168.1.0/24")[0] == "InvalidSubnet.Conflict"

    told(tmp_path, story)


def test_what_the_machine_cannot_carry(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.knows(msgspec.structs.replace(SMALL, available=GIB))
        code, said = customer.refused(customer.eks.create_cluster, **customer.cluster())
        assert code == "InvalidRequestException"
        assert said == (
            "Not enough memory: this machine has 4 GiB, 1 GiB of it available now; what exists (nothing) is promised "
            "0 GiB, 0 GiB of it not taken yet; 1 control plane more would need 1.2 GiB. Delete something, or ask for "
            "fewer nodes."
        )
        customer.knows(msgspec.structs.replace(SMALL, free=GIB // 4))
        code, said = customer.refused(customer.eks.create_cluster, **customer.cluster())
        assert (code, said.partition(":")[0]) == ("InvalidRequestException", "Not enough disk")
        customer.knows(SMALL)
        customer.active()
        code, said = customer.refused(customer.eks.create_nodegroup, **customer.nodes(40))
        assert code == "InvalidRequestException"
        assert (
            "(1 control plane) is promised 1.2 GiB, 0 GiB of it not taken yet; 40 nodes more would need 6 GiB" in said
        )
        customer.eks.create_nodegroup(**customer.nodes(2))
        group = {"clusterName": "shop", "nodegroupName": "workers"}
        customer.eks.get_waiter("nodegroup_active").wait(**group, WaiterConfig=QUICK)
        more = {"minSize": 0, "maxSize": 40, "desiredSize": 40}
        code, said = customer.refused(customer.eks.update_nodegroup_config, **group, scalingConfig=more)
        assert (code, "38 nodes more would need 5.7 GiB" in said) == ("InvalidRequestException", True)
        fewer = {"minSize": 0, "maxSize": 40, "desiredSize": 1}
        customer.knows(msgspec.structs.replace(SMALL, available=1))
        customer.eks.update_nodegroup_config(**group, scalingConfig=fewer)

    told(tmp_path, story)


def test_room_for_a_control_plane_and_its_nodes_is_looked_at_together(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        check = customer.place.client("roadstead").check_room
        check(controlPlanes=100, nodes=1000)
        customer.knows(SMALL)
        for fits in ({"controlPlanes": 1, "nodes": 12}, {"nodes": 20}, {"controlPlanes": 2}, {}):
            before = customer.kept.now()
            answer = check(**fits)
            assert set(answer) == {"ResponseMetadata"}
            assert customer.kept.now() == before
        code, said = customer.refused(check, controlPlanes=1, nodes=13)
        assert (code, said) == (
            "InvalidRequestException",
            "Not enough memory: this machine has 4 GiB, 3 GiB of it available now; what exists (nothing) is promised "
            "0 GiB, 0 GiB of it not taken yet; 1 control plane and 13 nodes more would need 3.15 GiB. Delete "
            "something, or ask for fewer nodes.",
        )
        customer.knows(msgspec.structs.replace(SMALL, free=2 * GIB))
        code, said = customer.refused(check, controlPlanes=1, nodes=2)
        assert (code, said.partition(":")[0]) == ("InvalidRequestException", "Not enough disk")
        customer.knows(SMALL)
        customer.active()
        assert "what exists (1 control plane)" in customer.refused(check, nodes=19)[1]
        assert len(customer.eks.list_clusters()["clusters"]) == 1

    told(tmp_path, story)


def test_of_two_at_once_only_as_many_are_taken_as_there_is_room_for(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.knows(msgspec.structs.replace(SMALL, memory=int(2.5 * GIB)))
        before = customer.kept.now()
        found = customer.place.ask(lambda _: _side_by_side(customer, [f"shop-{n}" for n in range(5)]))
        assert sorted(found) == ["InvalidRequestException"] * 3 + ["made"] * 2
        there = {key for key in customer.kept.now()[0].keys() - before[0].keys() if "/cluster/" in key}
        assert len(there) == 2

    told(tmp_path, story)


async def _side_by_side(customer: Customer, names: list[str]) -> list[str]:
    def one(name: str) -> str:
        try:
            customer.eks.create_cluster(**customer.cluster(name=name))
        except botocore.exceptions.ClientError as error:
            return str(error.response["Error"]["Code"])
        return "made"

    return await asyncio.gather(*(asyncio.to_thread(one, name) for name in names))


def test_networks_of_the_machine_that_are_hidden_are_told_in_an_event(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.knows(msgspec.structs.replace(SMALL, memory=99 * GIB, available=99 * GIB, routes=LAN))
        customer.active()
        arn = customer.eks.describe_cluster(name="shop")["cluster"]["arn"]
        found = customer.place.client("roadstead").list_events(resourceArn=arn)["events"]
        assert [event["message"] for event in found if event["reason"] == "NetworkHidden"] == [
            "nodes and pods cannot reach hosts of the machine's network 192.168.1.0/24 (eth0) whose addresses are in "
            "the cluster's VPC 192.168.0.0/16"
        ]

    told(tmp_path, story)


@contextlib.contextmanager
def listening() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()


def test_a_port_that_somebody_has_is_not_given() -> None:
    with listening() as (address, port):
        assert not allocator.port_is_free(address, port)
    assert allocator.port_is_free(address, port)
    # Not an address of this machine.
    assert allocator.port_is_free("203.0.113.77", port)


def test_a_cluster_steps_over_ports_and_networks_that_are_taken() -> None:
    async def story() -> None:
        store = memory.MemoryStore()
        vpc = network.Vpc(id="vpc-1", cidr="10.0.0.0/16", created_at=0.0)
        made = network.Subnet(
            id="s", vpc="vpc-1", cidr="10.0.0.0/24", zone="eu-central-1a", zone_id="z", created_at=0.0
        )
        await store.put(network.vpc_key("012345678901", "eu-central-1", "vpc-1"), network.VPCS.written(vpc))
        await store.put(network.subnet_key("012345678901", "eu-central-1", "s"), network.SUBNETS.written(made))
        used = machine.Route(to="198.19.0.0/25", device="wg0")
        await facts.keep(store, msgspec.structs.replace(SMALL, routes=(used, LAN[0])))
        given = allocator.Allocator(store, allocator.EndpointSettings(), lambda _, port: port not in (16443, 16445))
        first, second = [await given.give(await _cluster(store, name)) for name in ("one", "two")]
        assert (first.port, second.port) == (16444, 16446)
        assert (first.cidr, second.cidr) == ("198.19.0.128/26", "198.19.0.192/26")
        none = allocator.Allocator(store, allocator.EndpointSettings(), lambda _, _port: False)
        with pytest.raises(errors.LimitExceeded, match=r"no port of 127\.0\.0\.1 from 16443 to 20538 is free"):
            await none.give(await _cluster(store, "three"))
        assert await none.find(spec.key("012345678901", "eu-central-1", "three")) is None

    asyncio.run(story())


async def _cluster(store: memory.MemoryStore, name: str) -> Any:
    key = spec.key("012345678901", "eu-central-1", name)
    place = spec.Place(vpc="vpc-1", vpc_cidr="10.0.0.0/16", subnets=("s",), zones=("eu-central-1a",))
    cluster = spec.Cluster(
        name=name, role="r", version="1.37", place=place, service_cidr="10.100.0.0/16", created_at=0.0, creator="c"
    )
    await store.put(key, spec.written(cluster))
    return await store.get(key)
