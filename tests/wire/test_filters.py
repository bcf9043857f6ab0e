"""Filters of EC2's Describe operations: all that AWS documents are known, and filter by what is shown."""

from __future__ import annotations

import functools
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore  # type: ignore[import-untyped]
import pytest
from tests.wire.customer import QUICK, Customer, told
from tests.wire.test_reads import MODULES, REGION, by, call_of, error

from roadstead.aws import registry
from roadstead.aws.ec2 import filters, instance_filters, instance_types, instances, offers, subnets, tags, vpcs
from roadstead.clusters.allocation import ipam, names
from roadstead.store import interface, writes

ALL_MODULES = (*MODULES, instances, instance_types, offers, subnets, tags, vpcs)


@functools.cache
def model() -> Any:
    """EC2's whole model, with its documentation."""
    (file,) = Path(botocore.__file__).parent.glob("data/ec2/2016-11-15/service-2.json.gz")
    return json.loads(gzip.decompress(file.read_bytes()))


def documented(operation: str) -> tuple[str, list[str]]:
    """The member that filters are in, and the names that the model tells of."""
    members = model()["shapes"][model()["operations"][operation]["input"]["shape"]]["members"]
    for member in ("Filters", "Filter"):
        if member in members:
            return member, list(names_of_filters(members[member]["documentation"]))
    return "", []


def names_of_filters(text: str) -> Iterator[str]:
    """Lists inside the list of filters are of their values."""
    depth = 0
    for part in re.finditer(r"<ul>|</ul>|<li>\s*(?:<p>)?\s*<code>([a-z0-9.-]+)</code>(:?)", text):
        depth += {"<ul>": 1, "</ul>": -1}.get(part[0], 0)
        if part[1] and depth == 1 and not part[2] and part[1] != "tag":
            yield part[1]


def filtered() -> Iterator[str]:
    for _, operation in registry.build([registry.Service(ALL_MODULES)], known=("ec2",)).bound:
        if operation.startswith(("Describe", "Get")) and documented(operation)[1]:
            yield operation


def test_filters_that_aws_documents_are_known_and_others_refused(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        asked_of = list(filtered())
        assert len(asked_of) > 40
        for operation in asked_of:
            member, known = documented(operation)
            extra = {"VpcId": customer.vpc} if operation == "GetSecurityGroupsForVpc" else {}
            call = call_of(customer.ec2, operation)
            call(**extra, **{member: [{"Name": name, "Values": ["x"]} for name in known]})
            tagged = [{"Name": "tag:a", "Values": ["x"]}, {"Name": "tag-key", "Values": ["x"]}]
            call(**extra, **{member: tagged})
            wrong = {member: [{"Name": "no-such-filter", "Values": ["x"]}]}
            assert error(call, **extra, **wrong) == "InvalidParameterValue", operation

    told(tmp_path, story)


ONES: Mapping[str, tuple[str, Mapping[str, filters.Values]]] = {
    "describe_vpcs": ("Vpcs", vpcs.FILTERS),
    "describe_subnets": ("Subnets", subnets.FILTERS),
    "describe_instance_types": ("InstanceTypes", instance_types.SIZE_FILTERS),
    "describe_availability_zones": ("AvailabilityZones", offers.ZONE_FILTERS),
}
NEVER = filters.never


def test_whatever_is_shown_is_found_by_its_filters(tmp_path: Path) -> None:
    """Each filter but those for what nothing here has: with the value that is shown it finds the thing."""

    def story(customer: Customer) -> None:
        customer.active()
        customer.eks.create_nodegroup(**customer.nodes(1))
        where = {"clusterName": "shop", "nodegroupName": "workers"}
        customer.eks.get_waiter("nodegroup_active").wait(**where, WaiterConfig=QUICK)
        for operation, (member, known) in ONES.items():
            call = getattr(customer.ec2, operation)
            things = whole(customer, operation, member)
            for name, values in known.items():
                if values is NEVER:
                    continue
                # Not every thing has all: the first that has any comes on the first page.
                first = next((thing for thing in things if [*values(thing)]), things[0])
                found = set(values(first))
                assert found or name in EMPTY, (operation, name)
                # Of types there are many.
                few = {"MaxResults": 5} if operation == "describe_instance_types" else {}
                for value in found:
                    assert first in call(**by(name, escaped(value)), **few)[member], (operation, name, value)
        (reservation,) = customer.ec2.describe_instances()["Reservations"]
        customer.place.ask(functools.partial(allot, customer, reservation["Instances"][0]["InstanceId"]))
        (reservation,) = customer.ec2.describe_instances()["Reservations"]
        shown = {**reservation, **reservation["Instances"][0]}
        assert shown["NetworkInterfaces"]
        for name, values in instance_filters.FILTERS.items():
            if values is NEVER:
                continue
            found = set(values(shown))
            assert found or name in EMPTY, name
            for value in found:
                assert customer.ec2.describe_instances(**by(name, escaped(value)))["Reservations"], (name, value)
        assert not customer.ec2.describe_instances(**by("tenancy", "dedicated"))["Reservations"]

    told(tmp_path, story)


def whole(customer: Customer, operation: str, member: str) -> list[Any]:
    """What an operation lists, of all its pages."""
    if not customer.ec2.can_paginate(operation):
        return list(getattr(customer.ec2, operation)()[member])
    return [thing for page in customer.ec2.get_paginator(operation).paginate() for thing in page[member]]


def escaped(value: str) -> str:
    return re.sub(r"([*?\\])", r"\\\1", value)


EMPTY = {"dns-name", "private-ip-address", "private-dns-name"}
"""What is shown, and is empty, in this story: its nodes have no address yet."""


async def allot(customer: Customer, instance: str, store: interface.Store) -> None:
    (state,) = (await interface.everything(store, kind="cluster")).items
    node = f"{names.cluster(state.key, state.desired.created)}.{instance}"
    body = ipam.written(ipam.VpcAddresses({"192.168.0.5": node, "192.168.31.240/28": node}))
    await store.put(ipam.key(customer.place.account.account.id, REGION, customer.vpc), body, writes.Absent())


@pytest.mark.parametrize("operation", [*ONES, "describe_instances"])
def test_what_nothing_has_is_no_member_that_is_shown(operation: str, tmp_path: Path) -> None:
    """By its name, since a filter is mostly called as its member is: one that is shown one day is filtered by."""

    def story(customer: Customer) -> None:
        customer.active()
        customer.eks.create_nodegroup(**customer.nodes(1))
        where = {"clusterName": "shop", "nodegroupName": "workers"}
        customer.eks.get_waiter("nodegroup_active").wait(**where, WaiterConfig=QUICK)
        if operation == "describe_instances":
            shown: Any = customer.ec2.describe_instances()["Reservations"][0]["Instances"][0]
            known = instance_filters.FILTERS
        else:
            member, known = ONES[operation]
            shown = getattr(customer.ec2, operation)()[member][0]
        never = {plain(name) for name, values in known.items() if values is NEVER}
        assert never.isdisjoint(paths(shown))

    told(tmp_path, story)


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def paths(shown: Any, above: str = "") -> Iterator[str]:
    """The names of all members with a value, with those around them, without signs."""
    if isinstance(shown, dict):
        for member, inner in shown.items():
            yield from paths(inner, above + plain(member))
    elif isinstance(shown, list):
        for inner in shown:
            yield from paths(inner, above.removesuffix("s"))
    elif shown != "":
        yield above
