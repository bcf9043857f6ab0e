"""Instance types as nodes have them. Figures: eni-max-pods.txt of amazon-vpc-cni-k8s, EC2's page of instance types."""

from __future__ import annotations

import pytest

from roadstead.core import errors
from roadstead.network import sizes


@pytest.mark.parametrize(
    ("name", "vcpus", "gib", "architecture", "pods"),
    [
        ("t2.micro", 1, 1, "x86_64", 4),
        ("t3.medium", 2, 4, "x86_64", 17),
        ("t3a.small", 2, 2, "x86_64", 8),
        ("t4g.small", 2, 2, "arm64", 11),
        ("m4.large", 2, 8, "x86_64", 20),
        ("m5.large", 2, 8, "x86_64", 29),
        ("m6g.medium", 1, 4, "arm64", 8),
        ("c5.24xlarge", 96, 192, "x86_64", 737),
        ("g4dn.xlarge", 4, 16, "x86_64", 29),
        ("p3.2xlarge", 8, 61, "x86_64", 58),
        # Of several network cards, the first counts.
        ("p4d.24xlarge", 96, 1152, "x86_64", 737),
        ("p5.48xlarge", 192, 2048, "x86_64", 100),
        ("c6in.32xlarge", 128, 256, "x86_64", 394),
        ("d3.xlarge", 4, 32, "x86_64", 10),
    ],
)
def test_a_type_is_as_ec2_and_the_vpc_cni_have_it(
    name: str, vcpus: int, gib: int, architecture: str, pods: int
) -> None:
    size = sizes.find(name)
    assert (size.name, size.vcpus, size.memory, size.architecture) == (name, vcpus, gib * 1024, architecture)
    assert size.pods == pods


def test_what_there_is_not_is_refused_with_what_there_is_beside_it() -> None:
    for name, said in (("m5.huge", "m5 has 12xlarge"), ("m99.large", "no family m99"), ("", "no family")):
        with pytest.raises(errors.NotFound, match=said):
            sizes.find(name)


def test_types_are_described_by_name_and_only_those_that_are_wanted() -> None:
    named = [one["InstanceType"] for one in sizes.described(lambda name: name.startswith("m5."))]
    assert named == sorted(name for name in sizes.every() if name.startswith("m5."))
    assert list(sizes.every()) == sorted(sizes.every())
    assert [*sizes.described(lambda _: False)] == []
