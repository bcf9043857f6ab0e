"""New nodes begin with a store of the images that every node has: made once by the agent, copied to each disk.

Cost: about 20 s; three nodes with containerd, in the end one agent that is killed while it makes a store.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.live import conftest, fleet, node_lab

from roadstead import engine
from roadstead.agent.stores import stores
from roadstead.clusters.components import containerd, registries
from roadstead.contract.messages import desired
from roadstead.engine import images
from roadstead.machine import shell

pytestmark = pytest.mark.live

FACTS = node_lab.node_facts("1.37.0")
ENGINE = FACTS.engines.containerd
NET = fleet.network()


@dataclass
class Lab:
    agent: conftest.RunningAgent
    components: Mapping[str, str]
    """Of containerd's engine."""
    system: str
    """The digest of the archive with the system images."""
    names: frozenset[str]
    """Those images."""

    def put(self, number: int, *archives: str) -> None:
        """A new node with containerd and, in kubelet's place, a unit that needs the archives."""
        host = fleet.host(number, "net", NET, "node", disk=desired.Disk(kind="ext4", size=2 * 2**30))
        kubelet = desired.Unit(engine="pause", component="pause", after="containerd", images=archives)
        runtime = containerd.unit(FACTS, registries.Registries(), {})
        id = f"n{number}"
        units = {f"{id}/containerd": runtime, f"{id}/kubelet": kubelet}
        self.agent.client.accept(fleet.put(1, hosts={id: host}, units=units))

    def node(self, number: int, *archives: str) -> float:
        """`put`, and the seconds until it is ready."""
        began = time.monotonic()
        self.put(number, *archives)
        self.agent.client.wait_ready(40)
        return time.monotonic() - began

    def key(self, *archives: str) -> str:
        return stores.Asked(self.components, frozenset(archives)).key

    def stores(self) -> dict[str, int]:
        """Each by name, and its number in the file system: another for one that was made anew."""
        return {found.name: found.stat().st_ino for found in (self.agent.places.state / "stores").iterdir()}

    def inside(self, number: int, script: str) -> str:
        script = f"export PATH=/engine/{ENGINE}:$PATH CONTAINERD_NAMESPACE=k8s.io; {script}"
        words = shell.inside(self.agent.client.shell(f"n{number}"), ("/bin/sh", "-c", script), terminal=False)
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done
        return done.stdout

    def managed(self, number: int) -> frozenset[str]:
        """The images that containerd's CRI part takes for its own; kubelet knows no others.

        It takes them at its first start, after its sockets are there.
        """
        deadline = time.monotonic() + 20
        while True:
            lines = self.inside(number, "ctr images list").splitlines()
            found = frozenset(line.split()[0] for line in lines if "io.cri-containerd.image=managed" in line)
            if found >= self.names or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def imported(self, number: int) -> list[str]:
        """Archives that were lent to the node, as each is that is imported there."""
        return self.inside(number, "ls /lent").split()


@pytest.fixture(scope="module")
def lab(agent: conftest.RunningAgent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    ready = images.system_images("1.37")
    archive = images.write_system(ready, tmp_path_factory.mktemp("images"))
    engines = {
        ENGINE: agent.client.engine(engine.get("containerd").components),
        "pause": fleet.pause_engine(agent.client),
    }
    agent.client.accept(fleet.put(1, engines=engines, networks={"net": NET}))
    names = frozenset(each.image.name for each in ready)
    yield Lab(agent, engines[ENGINE].components, agent.client.keep_blob(archive), names)
    fleet.delete_all(agent.client)


def test_nodes_have_the_images_from_one_store_and_import_nothing(lab: Lab) -> None:
    first = lab.node(0, lab.system)
    made = lab.stores()
    assert list(made) == [lab.key(lab.system)]
    second = lab.node(1, lab.system)
    assert lab.stores() == made, "the second had the store that was there"
    print(f"\nfirst node ready after {first:.1f} s, second after {second:.1f} s")
    for number in (0, 1):
        assert lab.managed(number) >= lab.names
        assert lab.imported(number) == []
    ids = {lab.inside(number, "cat /var/lib/containerd/io.containerd.grpc.v1.introspection/uuid") for number in (0, 1)}
    assert len(ids) == 2, "each containerd is one of its own"
    ran = lab.inside(0, f"ctr run -d {node_lab.PAUSE} one && ctr task list")
    assert "RUNNING" in ran
    lab.inside(0, "ctr task delete --force one; ctr container delete one")


def test_what_is_large_is_one_for_all_nodes_and_its_removal_each_nodes_own(lab: Lab) -> None:
    led = "find /var/lib/containerd -lname '/stores/*' | sort"
    links = lab.inside(0, led).split()
    assert [link for link in links if link.endswith("/fs")]
    assert [link for link in links if "/blobs/" in link]
    assert lab.inside(1, led).split() == links
    used = {number: int(lab.inside(number, "du -sm /var/lib/containerd").split()[0]) for number in (0, 1)}
    print(f"\nMiB of images on each disk: {used}")
    assert max(used.values()) < 8
    (large,) = [name for name in lab.names if "/coredns:" in name]
    version = f"ctr run --rm {large} version /coredns -version"
    assert "CoreDNS-" in lab.inside(0, version)
    # The CRI part has names of its own for it.
    digest = lab.inside(1, f"ctr images list | awk '$1 == \"{large}\" {{ print $3 }}'").strip()
    lab.inside(1, f"ctr images remove --sync $(ctr images list | awk '$3 == \"{digest}\" {{ print $1 }}')")
    left = lab.inside(1, led).split()
    assert left
    assert len(left) < len(links)
    assert lab.inside(0, led).split() == links
    assert "CoreDNS-" in lab.inside(0, version), "the other node has it still"
    said = lab.inside(0, "touch /stores/x 2>&1; ls /stores")
    assert "Read-only file system" in said
    assert said.split()[-1] == lab.key(lab.system)


def test_what_was_left_half_made_goes_and_what_is_whole_stays(lab: Lab) -> None:
    made = lab.stores()
    lab.agent.kill()
    half = lab.agent.places.state / "stores" / f"{lab.key(lab.system)}.new"
    half.mkdir()
    (half / "meta.db").touch()
    lab.agent.restart()
    assert lab.stores() == made
    lab.agent.client.wait_ready(30)
    assert lab.managed(0) >= lab.names


def test_an_agent_that_is_killed_as_it_makes_one_leaves_nothing_and_the_next_makes_it(lab: Lab, tmp_path: Path) -> None:
    archive = tmp_path / "pause.tar"
    pause = engine.get("pause")
    images.write(images.pause(pause.components["pause"], pause.version, pause.arch), archive)
    digests = (lab.system, lab.agent.client.keep_blob(archive))
    scratch = lab.agent.places.run / "stores" / lab.key(*digests)
    lab.put(2, *digests)
    deadline = time.monotonic() + 20
    while not (scratch / "sock").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    lab.agent.kill()
    try:
        deadline = time.monotonic() + 30
        while makers := running(scratch):
            assert time.monotonic() < deadline, makers
            time.sleep(0.02)
    finally:
        lab.agent.restart()
    lab.agent.client.wait_ready(40)
    assert lab.key(*digests) in lab.stores()
    assert not [name for name in lab.stores() if name.endswith(".new")]
    assert lab.managed(2) >= lab.names
    assert lab.imported(2) == []
    assert list(scratch.parent.glob("*")) == []


def running(scratch: Path) -> list[bytes]:
    """Programs that were started with this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if bytes(scratch) in words:
            found.append(words)
    return found
