"""Instance types: all that EC2 has, as AWS describes them, in pages, and in all zones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.wire.customer import Customer, told
from tests.wire.test_reads import by, error

from roadstead.network import sizes
from roadstead.wire import services, validate

EC2 = services.load("ec2")
FAMILIES = """
    c3 c4 c5 c5a c5d c5n c6a c6g c6gn c6i c7g c7i c8g d2 d3 g3 g4ad g4dn g5 g6 i3 i3en i4i im4gn inf1 inf2 m3 m4 m5 m5a
    m5d m5n m6a m6g m6i m7a m7g m7i m8g p2 p3 p3dn p4d p5 r4 r5 r5a r5n r6a r6g r6i r7g r7i t2 t3
    t3a t4g trn1 x1 x1e x2idn z1d
    """
"""Those that EKS's and eksctl's documents name, among others."""


def all_of_them(customer: Customer, **asked: Any) -> list[dict[str, Any]]:
    pages = list(customer.ec2.get_paginator("describe_instance_types").paginate(**asked))
    size = asked.get("PaginationConfig", {}).get("PageSize", 100)
    assert {len(page["InstanceTypes"]) for page in pages[:-1]} <= {size}
    return [one for page in pages for one in page["InstanceTypes"]]


def test_all_types_are_described_page_by_page_as_the_model_has_them(tmp_path: Path) -> None:
    found: list[dict[str, Any]] = []

    def story(customer: Customer) -> None:
        found.extend(all_of_them(customer))
        paged = all_of_them(customer, PaginationConfig={"PageSize": 33}, **by("instance-type", "m5*"))
        assert paged == [one for one in found if one["InstanceType"].startswith("m5")]
        first = customer.ec2.describe_instance_types()
        assert first["InstanceTypes"] == found[:100]
        strange = {"NextToken": first["NextToken"], **by("instance-type", "m5.*")}
        assert error(customer.ec2.describe_instance_types, **strange) == "InvalidNextToken"

    told(tmp_path, story)
    named = [one["InstanceType"] for one in found]
    assert named == sorted(sizes.every())
    known = EC2.shape("InstanceType").enum
    # What AWS retired before anybody wrote it down, and what it has announced only.
    assert known.issuperset(named)
    assert len(known - set(named)) < 20
    assert set(FAMILIES.split()) <= {name.partition(".")[0] for name in named}
    info = EC2.shape("InstanceTypeInfo")
    for one in found:
        # AWS tells of some features that the model does not know yet.
        problems = [each for each in validate.problems(info, one) if "SupportedFeatures" not in each.path]
        assert problems == [], one["InstanceType"]
        assert one["EbsInfo"]["EncryptionSupport"] == "supported", one["InstanceType"]
        assert one["PlacementGroupInfo"]["SupportedStrategies"], one["InstanceType"]


def test_types_are_chosen_by_name_and_by_what_is_told_of_them(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        asked = ["p3.2xlarge", "g4dn.xlarge", "t2.micro"]
        shown = customer.ec2.describe_instance_types(InstanceTypes=asked)["InstanceTypes"]
        assert [one["InstanceType"] for one in shown] == sorted(asked)
        assert [one["VCpuInfo"]["DefaultVCpus"] for one in shown] == [4, 8, 1]
        assert shown[0]["GpuInfo"]["Gpus"][0]["Name"] == "T4"
        wanted = [
            {"Name": "processor-info.supported-architecture", "Values": ["arm64"]},
            {"Name": "instance-storage-info.total-size-in-gb", "Values": ["950"]},
            {"Name": "ebs-info.maximum-ebs-attachments", "Values": ["*"]},
        ]
        names = {one["InstanceType"] for one in all_of_them(customer, Filters=wanted)}
        assert {"m6gd.4xlarge", "c6gd.4xlarge"} <= names
        assert not {name for name in names if name.startswith(("m5", "t4g"))}
        assert error(customer.ec2.describe_instance_types, InstanceTypes=["m5.huge"]) == "InvalidInstanceType"
        assert error(customer.ec2.describe_instance_types, **by("colour", "red")) == "InvalidParameterValue"

    told(tmp_path, story)


@pytest.mark.parametrize(("kind", "count"), [("region", 1), ("availability-zone", 3), ("availability-zone-id", 3)])
def test_every_type_is_offered_in_every_zone(kind: str, count: int, tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        asked = {"LocationType": kind, **by("instance-type", "t2.*", "c5.large", "g4dn.xlarge")}
        pages = customer.ec2.get_paginator("describe_instance_type_offerings").paginate(
            **asked, PaginationConfig={"PageSize": 10}
        )
        found = [one for page in pages for one in page["InstanceTypeOfferings"]]
        names = {one["InstanceType"] for one in found}
        assert names >= {"t2.nano", "t2.2xlarge", "c5.large", "g4dn.xlarge"}
        assert len({(one["InstanceType"], one["Location"]) for one in found}) == len(found) == count * len(names)
        whole = customer.ec2.describe_instance_type_offerings(LocationType=kind)["InstanceTypeOfferings"]
        assert len(whole) == count * len(sizes.every())

    told(tmp_path, story)


def test_nodes_have_any_type_that_there_are_images_for(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.active()
        for name, said in (("mac2.metal", "no images of nodes"), ("m5.huge", "m5 has"), ("m99.large", "no family m99")):
            refused = customer.refused(customer.eks.create_nodegroup, **customer.nodes(0, instanceTypes=[name]))
            assert refused[0] == "InvalidParameterException"
            assert said in refused[1]
        for name in ("g4dn.xlarge", "t2.medium", "c3.large"):
            asked = customer.nodes(0, nodegroupName=name.replace(".", "-"), instanceTypes=[name])
            made = customer.eks.create_nodegroup(**asked)["nodegroup"]
            assert (made["instanceTypes"], made["amiType"]) == ([name], "AL2023_x86_64_STANDARD")

    told(tmp_path, story)
