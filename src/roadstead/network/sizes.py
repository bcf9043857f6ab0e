"""Instance types: what a computer of that name says of itself. Data.

Source: what EC2's DescribeInstanceTypes answers of every type, in `instance-types.jsonl.gz`: a line of JSON for each,
by name, behind one that tells where it is from and how many there are. `python -m tests.peer.instance_types` writes it.
What nodes need of it is kept when it is first asked for; all else is read again by who describes types.
"""

from __future__ import annotations

import functools
import gzip
import importlib.resources
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from roadstead.core import errors

FILE = "instance-types.jsonl.gz"
ARCHITECTURES = ("x86_64", "arm64")
"""Those that nodes may have, the first before the second. Macs have others."""


@dataclass(frozen=True, slots=True)
class Size:
    """`memory` in MiB; `interfaces` of the first network card, and the IPv4 addresses of each."""

    name: str
    vcpus: int
    memory: int
    interfaces: int
    addresses: int
    architecture: str

    @property
    def pods(self) -> int:
        """The most pods of a node, as Amazon's VPC CNI has it without prefixes: by the first network card alone."""
        return self.interfaces * (self.addresses - 1) + 2


class _Card(msgspec.Struct, frozen=True, rename="pascal"):
    network_card_index: int
    maximum_network_interfaces: int


class _Network(msgspec.Struct, frozen=True, rename="pascal"):
    network_cards: tuple[_Card, ...]
    default_network_card_index: int
    ipv4_addresses_per_interface: int


class _Type(msgspec.Struct, frozen=True, rename="pascal"):
    """What nodes need of the model's InstanceTypeInfo."""

    instance_type: str
    network_info: _Network
    v_cpu_info: _Cpus = msgspec.field(name="VCpuInfo")
    memory_info: _Memory
    processor_info: _Processor


class _Cpus(msgspec.Struct, frozen=True):
    count: int = msgspec.field(name="DefaultVCpus")


class _Memory(msgspec.Struct, frozen=True):
    mebibytes: int = msgspec.field(name="SizeInMiB")


class _Processor(msgspec.Struct, frozen=True, rename="pascal"):
    supported_architectures: tuple[str, ...]


@functools.cache
def every() -> Mapping[str, Size]:
    """All types there are, by name and in its order."""
    decoder = msgspec.json.Decoder(_Type)
    return {size.name: size for size in map(_size, map(decoder.decode, _lines()))}


def find(name: str) -> Size:
    """Raises NotFound for a type that is not offered."""
    size = every().get(name)
    if size is None:
        family = name.partition(".")[0]
        kin = [other.removeprefix(f"{family}.") for other in every() if other.startswith(f"{family}.")]
        said = f"{family} has {', '.join(kin)}" if kin else f"EC2 has no family {family}"
        raise errors.NotFound(f"the instance type {name} is not offered here: {said}", type=name)
    return size


def described(wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """The model's InstanceTypeInfo of the types that are wanted by their names, by name."""
    for name, line in zip(every(), _lines(), strict=True):
        if wanted(name):
            yield msgspec.json.decode(line)


def _lines() -> Iterator[bytes]:
    """Read as it is unpacked: it is forty times as long as the file."""
    with (
        importlib.resources.files("roadstead.network").joinpath(FILE).open("rb") as file,
        gzip.open(file) as unpacked,
    ):
        next(unpacked)
        yield from unpacked


def _size(one: _Type) -> Size:
    network, offered = one.network_info, one.processor_info.supported_architectures
    cards = {card.network_card_index: card.maximum_network_interfaces for card in network.network_cards}
    return Size(
        one.instance_type,
        one.v_cpu_info.count,
        one.memory_info.mebibytes,
        cards[network.default_network_card_index],
        network.ipv4_addresses_per_interface,
        next((each for each in ARCHITECTURES if each in offered), offered[0]),
    )
