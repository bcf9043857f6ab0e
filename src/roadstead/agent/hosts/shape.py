"""What a host of a shape sees of its processors and memory: made-up files of /proc and /sys as text.

Pure. The files are bound read-only over the machine's. Sources: proc(5); the kernel's ABI documents
sysfs-devices-system-cpu and sysfs-devices-node; kubelet reads them through cadvisor's machine facts.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roadstead.contract.messages import desired

BINDS = {
    "meminfo": "/proc/meminfo",
    "cpuinfo": "/proc/cpuinfo",
    "cpu": "/sys/devices/system/cpu",
    "node": "/sys/devices/system/node",
}
"""What of a shape's folder is bound where."""

_CACHES = (("Data", 1, "32K"), ("Instruction", 1, "32K"), ("Unified", 2, "1024K"), ("Unified", 3, "32768K"))
"""Type, level, size. The third level is shared by all, the others by a core's threads."""

_OF_X86 = "vendor_id"
_SPEED, _USUAL_SPEED = "cpu MHz", "2500.000"
"""cadvisor wants the speed of each processor of x86, or no kubelet starts; user-mode Linux does not say it."""


@dataclass(frozen=True)
class Processors:
    """A host's processors: the numbers they have for it, and those of the machine's that they run on.

    kubelet writes the numbers of all processors it finds into its cpusets (kubelet's cm/container_manager, policy
    `none` included), so they must be ones that the machine has. A host with no more processors than the machine
    gets a part of the machine's own numbers, chosen by its id. One with more has numbers of its own; the links of
    its node, by which cadvisor counts, then repeat the machine's numbers with zeros before them.
    """

    numbers: tuple[int, ...]
    real: tuple[int, ...]

    @property
    def threads(self) -> int:
        """Threads of a core: two, as most instance types have, where the numbers allow it."""
        return 2 if len(self.numbers) % 2 == 0 and len(self.real) > 1 else 1

    def core(self, place: int) -> tuple[int, ...]:
        """The numbers of the core that the processor at this place belongs to."""
        first = place // self.threads * self.threads
        return self.numbers[first : first + self.threads]


def processors(vcpus: int, machine: tuple[int, ...], host_id: str) -> Processors:
    """The processors of a host; `machine` are the numbers of those that it may run on, sorted."""
    if vcpus > len(machine):
        others = (number for number in itertools.count() if number not in machine)
        return Processors(tuple(sorted((*machine, *itertools.islice(others, vcpus - len(machine))))), machine)
    part = int.from_bytes(hashlib.sha256(host_id.encode()).digest()[:4], "big") % (len(machine) // vcpus)
    own = machine[part * vcpus : (part + 1) * vcpus]
    return Processors(own, own)


def key(tree: Mapping[str, str], links_of: Mapping[str, str]) -> str:
    """The name of the folder of these files and links: equal for equal ones."""
    listing = repr((sorted(tree.items()), sorted(links_of.items())))
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


def files(shape: desired.Shape, of: Processors, paragraph: str) -> dict[str, str]:
    """The files by path; `paragraph` is the first of the machine's /proc/cpuinfo."""
    return {
        "meminfo": meminfo(shape.memory),
        "cpuinfo": cpuinfo(of, paragraph),
        **cpus(of),
        **node(shape.memory, of),
    }


def links(of: Processors) -> dict[str, str]:
    """The symbolic links by path: the node's processors."""
    found = {}
    for place, number in enumerate(of.numbers):
        again, real = divmod(place, len(of.real))
        found[f"node/node0/cpu{'0' * again}{of.real[real]}"] = f"../../cpu/cpu{number}"
    return found


def meminfo(memory: int) -> str:
    """/proc/meminfo of a computer with `memory` bytes, a tenth of it used, no swap."""
    total = memory // 1024
    used = total // 10
    rows = {
        "MemTotal": total,
        "MemFree": total - 2 * used,
        "MemAvailable": total - used,
        "Buffers": 0,
        "Cached": used,
        "SwapCached": 0,
        "Active": used,
        "Inactive": used,
        "Active(anon)": used // 2,
        "Inactive(anon)": 0,
        "Active(file)": used // 2,
        "Inactive(file)": used,
        "Unevictable": 0,
        "Mlocked": 0,
        "SwapTotal": 0,
        "SwapFree": 0,
        "Dirty": 0,
        "Writeback": 0,
        "AnonPages": used // 2,
        "Mapped": used // 4,
        "Shmem": 0,
        "KReclaimable": 0,
        "Slab": 0,
        "SReclaimable": 0,
        "SUnreclaim": 0,
        "KernelStack": 0,
        "PageTables": 0,
        "CommitLimit": total // 2,
        "Committed_AS": used,
        "VmallocTotal": 34359738367,
        "VmallocUsed": 0,
        "VmallocChunk": 0,
        "Hugepagesize": 2048,
    }
    huge = [f"HugePages_{name}:       0" for name in ("Total", "Free", "Rsvd", "Surp")]
    lines = [f"{name + ':':<16}{value:>8} kB" for name, value in rows.items()]
    return "\n".join((*lines[:-1], *huge, lines[-1])) + "\n"


def cpuinfo(of: Processors, paragraph: str) -> str:
    """/proc/cpuinfo: the machine's processor for each of the host's, numbered as one socket."""
    return "".join(f"{_processor(place, of, paragraph)}\n\n" for place in range(len(of.numbers)))


def _processor(place: int, of: Processors, paragraph: str) -> str:
    own = {
        "processor": of.numbers[place],
        "physical id": 0,
        "siblings": len(of.numbers),
        "core id": place // of.threads,
        "cpu cores": len(of.numbers) // of.threads,
        "apicid": of.numbers[place],
        "initial apicid": of.numbers[place],
    }
    lines = []
    for line in paragraph.splitlines():
        name, colon, _ = line.partition(":")
        lines.append(f"{name}: {own[name.strip()]}" if colon and name.strip() in own else line)
    if _OF_X86 in paragraph and _SPEED not in paragraph:
        lines.append(f"{_SPEED}\t\t: {_USUAL_SPEED}")
    return "\n".join(lines)


def mask(numbers: Sequence[int]) -> str:
    """A set of processors as the kernel writes it: groups of 32 bits in hexadecimal, the highest first."""
    bits = sum(1 << number for number in numbers)
    groups = max(numbers) // 32 + 1
    return ",".join(f"{bits >> 32 * group & 0xFFFFFFFF:08x}" for group in reversed(range(groups)))


def ranges(numbers: Sequence[int]) -> str:
    """A sorted set of processors as a list of the kernel's: `0-1,6-7`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def cpus(of: Processors) -> dict[str, str]:
    """/sys/devices/system/cpu: one socket, all processors online."""
    everyone = ranges(of.numbers)
    tree = {
        "cpu/online": f"{everyone}\n",
        "cpu/possible": f"{everyone}\n",
        "cpu/present": f"{everyone}\n",
        "cpu/offline": "\n",
        "cpu/isolated": "\n",
        "cpu/kernel_max": f"{max(of.numbers)}\n",
    }
    for place, number in enumerate(of.numbers):
        tree |= {f"cpu/cpu{number}/{name}": f"{value}\n" for name, value in _cpu(place, of).items()}
    return tree


def _cpu(place: int, of: Processors) -> dict[str, str]:
    core, everyone = of.core(place), of.numbers
    of_cpu = {
        "online": "1",
        "topology/core_id": str(place // of.threads),
        "topology/die_id": "0",
        "topology/physical_package_id": "0",
    }
    for name, shared in (("thread_siblings", core), ("core_cpus", core), ("core_siblings", everyone)):
        of_cpu |= {f"topology/{name}": mask(shared), f"topology/{name}_list": ranges(shared)}
    for index, (kind, level, size) in enumerate(_CACHES):
        shared = everyone if level == 3 else core
        of_cpu |= {
            f"cache/index{index}/type": kind,
            f"cache/index{index}/level": str(level),
            f"cache/index{index}/size": size,
            f"cache/index{index}/id": str(0 if level == 3 else place // of.threads),
            f"cache/index{index}/shared_cpu_map": mask(shared),
            f"cache/index{index}/shared_cpu_list": ranges(shared),
        }
    return of_cpu


def node(memory: int, of: Processors) -> dict[str, str]:
    """/sys/devices/system/node: one node with all processors and all memory."""
    total = memory // 1024
    used = total // 10
    rows = {"MemTotal": total, "MemFree": total - 2 * used, "MemUsed": 2 * used, "Active": used, "Inactive": used}
    counters = ("numa_hit", "numa_miss", "numa_foreign", "interleave_hit", "local_node", "other_node")
    return {
        "node/online": "0\n",
        "node/possible": "0\n",
        "node/has_cpu": "0\n",
        "node/has_memory": "0\n",
        "node/has_normal_memory": "0\n",
        "node/node0/cpulist": f"{ranges(of.numbers)}\n",
        "node/node0/cpumap": f"{mask(of.numbers)}\n",
        "node/node0/distance": "10\n",
        "node/node0/numastat": "".join(f"{name} 0\n" for name in counters),
        "node/node0/meminfo": "".join(f"Node 0 {name + ':':<16}{value:>8} kB\n" for name, value in rows.items())
        + "".join(f"Node 0 HugePages_{name}:     0\n" for name in ("Total", "Free", "Surp")),
        "node/node0/hugepages/hugepages-2048kB/nr_hugepages": "0\n",
        "node/node0/hugepages/hugepages-2048kB/free_hugepages": "0\n",
    }
