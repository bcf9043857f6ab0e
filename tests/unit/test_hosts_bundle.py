"""The OCI bundle and the root tree of hosts, as data."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.agent.hosts import bundle, cgroups, see, shape, tree, wanted
from roadstead.agent.idmaps import ranges
from roadstead.contract.messages import desired, earlier
from roadstead.core.instance import Instance

GOLDEN = Path(__file__).parent / "golden"
INSTANCE = Instance.named("golden")

IDS = ranges.Range(ranges.FIRST)

V1 = see.MachineFacts(
    cgroup_version=1,
    cgroup_roots=(Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup/memory")),
    cgroup_parent="",
    shaped=tuple(shape.BINDS.values()),
    capabilities=("CAP_CHOWN", "CAP_SYS_ADMIN"),
    runc="/usr/sbin/runc",
    svscan="/usr/bin/s6-svscan",
    mkfs="/usr/sbin/mkfs.ext4",
    links=(("bin", "usr/bin"), ("lib", "usr/lib")),
    folders=(),
    etc=("ld.so.cache", "ssl/certs/ca-certificates.crt"),
    own_usr=("local", "libexec"),
    usr_lacks=(),
    boot=("config-6.1.0",),
    os_release='PRETTY_NAME="Some Linux"\n',
    devices=(see.Device("/dev/kmsg", 1, 11),),
    sysctls=("/proc/sys/kernel", "/proc/sys/vm"),
    open_files=20000,
    cpus=(0, 1),
    processor="processor\t: 0",
)
V2 = dataclasses.replace(V1, cgroup_version=2, cgroup_roots=(Path("/sys/fs/cgroup"),), open_files=524288)
SYSTEMD = dataclasses.replace(V2, cgroup_parent="/system.slice/roadstead-hosts.service")

CONTROL = desired.Host(
    role="etcd",
    privilege="unprivileged",
    zone="a",
    legs=(desired.Leg(network="net", address="198.19.0.10"),),
    hostname="etcd-a",
    limits=desired.Limits(memory=512 << 20, cpus=1.5, cpu_weight=200),
    names={"198.19.0.11": ("etcd-b",)},
)
NODE = desired.Host(
    role="node",
    privilege="privileged",
    zone="b",
    legs=(desired.Leg(network="net", address="192.168.0.10"),),
    hostname="node-1",
    disk=desired.Disk(kind="ext4", size=80 << 30),
    shape=desired.Shape(vcpus=2, memory=8 << 30),
)


def asked(host: desired.Host, facts: see.MachineFacts, ids: ranges.Range | None = None) -> wanted.WantedHost:
    node = host.role == "node"
    return wanted.WantedHost(
        instance=INSTANCE.id,
        id=host.hostname,
        host=host,
        uid=0 if node else 61001,
        places=INSTANCE.host(host.hostname),
        engines=INSTANCE.engines,
        stores=INSTANCE.stores,
        cgroup=cgroups.path(INSTANCE, facts, host.hostname),
        shape=wanted.Shape(INSTANCE.run / "shapes/s", {}, {}) if node else None,
        ids=ids,
    )


@pytest.mark.parametrize(("name", "facts"), [("v1", V1), ("v2", V2), ("systemd", SYSTEMD)])
@pytest.mark.parametrize("host", [CONTROL, NODE], ids=lambda host: earlier.kind(host.role))
def test_bundle_is_as_the_golden_file(name: str, facts: see.MachineFacts, host: desired.Host) -> None:
    made = json.loads(json.dumps(bundle.config(asked(host, facts), facts)))
    assert made == json.loads((GOLDEN / f"bundle-{name}-{earlier.kind(host.role)}.json").read_text())


@pytest.mark.parametrize(("name", "facts"), [("v1", V1), ("v2", V2)])
def test_a_node_with_users_of_its_own_is_as_the_golden_file(name: str, facts: see.MachineFacts) -> None:
    made = json.loads(json.dumps(bundle.config(asked(NODE, facts, IDS), facts)))
    assert made == json.loads((GOLDEN / f"bundle-{name}-node-users.json").read_text())


def test_what_a_node_with_users_of_its_own_sees_of_the_machine_it_can_never_write_to() -> None:
    """What it owns in its view is its own, or is read-only by a mount that it cannot change; the rest is nobody's."""
    places = INSTANCE.host("node-1")
    node = asked(NODE, V1, IDS)
    own = (places.disk, places.log, places.service)
    for mount in json.loads(json.dumps(bundle.config(node, V1)))["mounts"]:
        if mount["type"] != "bind":
            continue
        source = Path(mount["source"])
        owned = "idmap" in mount["options"]
        assert owned == any(source.is_relative_to(place) for place in own), mount
        assert owned or "ro" in mount["options"], mount
    shown = {place: view.read_only for place, view in node.views.items()}
    assert shown == {places.node_root: False} | dict.fromkeys(
        (INSTANCE.stores, places.files, node.lent, node.pods), True
    )


def test_a_node_uses_no_disk_by_its_device() -> None:
    with_users = bundle.config(asked(NODE, V1, IDS), V1)
    resources = [
        json.loads(json.dumps(each))["linux"]["resources"] for each in (with_users, bundle.config(asked(NODE, V1), V1))
    ]
    assert resources[0]["devices"][0] == {"allow": False, "access": "rwm"}
    assert {rule["type"] for rule in resources[0]["devices"][1:]} == {"c"}
    assert resources[1]["devices"][-1] == {"allow": False, "type": "b", "access": "rw"}


def test_only_what_the_kernel_has_is_shaped() -> None:
    """A kernel without NUMA has no /sys/devices/system/node, and nothing can be bound where nothing is."""
    without = dataclasses.replace(V2, shaped=tuple(place for place in V2.shaped if "node" not in place))
    made = [
        {mount["destination"] for mount in json.loads(json.dumps(bundle.config(asked(NODE, facts), facts)))["mounts"]}
        for facts in (V2, without)
    ]
    assert made[0] - made[1] == {"/sys/devices/system/node"}
    assert not made[1] - made[0]


def test_control_hosts_have_no_way_to_power() -> None:
    made = json.loads(json.dumps(bundle.config(asked(CONTROL, V1), V1)))
    process = made["process"]
    assert process["noNewPrivileges"]
    assert process["user"] == {"uid": 61001, "gid": 61001}
    assert not any(process["capabilities"].values())
    assert made["root"]["readonly"]
    writable = {
        mount["destination"] for mount in made["mounts"] if mount["type"] == "bind" and "rw" in mount["options"]
    }
    assert writable == {"/var", "/var/log/units", "/run/service"}


@pytest.mark.parametrize("host", [CONTROL, NODE], ids=lambda host: earlier.kind(host.role))
def test_hosts_see_only_their_own_folders_and_what_is_shared(host: desired.Host) -> None:
    made = json.loads(json.dumps(bundle.config(asked(host, V1), V1)))
    places = INSTANCE.host(host.hostname)
    own = (places.state, places.run, places.log)
    stores = (INSTANCE.stores,) if host.role == "node" else ()
    shared = (Path("/usr"), Path("/etc"), Path("/boot"), INSTANCE.engines, INSTANCE.run / "shapes", *stores)
    for mount in made["mounts"]:
        if mount["type"] != "bind":
            continue
        source = Path(mount["source"])
        assert any(source.is_relative_to(folder) for folder in (*own, *shared)), mount
        if not any(source.is_relative_to(folder) for folder in own):
            assert "ro" in mount["options"], mount
        assert "rbind" not in mount["options"], mount


def test_a_node_writes_to_its_own_disk_and_to_nothing_of_the_machine() -> None:
    made = json.loads(json.dumps(bundle.config(asked(NODE, V1), V1)))
    places = INSTANCE.host("node-1")
    root = Path(made["root"]["path"])
    assert not made["root"]["readonly"]
    assert root.is_relative_to(places.disk)
    assert made["linux"]["maskedPaths"] == [f"/var/{root.relative_to(places.disk)}"]
    writable = {
        mount["destination"]: Path(mount["source"])
        for mount in made["mounts"]
        if mount["type"] == "bind" and "ro" not in mount["options"]
    }
    # The other two are folders of the host's own: where its units log, and where they are supervised.
    on_disk = {point for point, source in writable.items() if source.is_relative_to(places.disk)}
    assert on_disk == {"/var", "/usr/local", "/usr/libexec"}
    assert writable.keys() - on_disk == {"/var/log/units", "/run/service"}


def test_folders_that_the_machines_usr_lacks_are_put_over_it_read_only() -> None:
    facts = dataclasses.replace(V1, usr_lacks=("src", "lib/modules"))
    (usr,) = [one for one in _mounts_of(NODE, facts) if one["destination"] == "/usr"]
    lacking = INSTANCE.host("node-1").bundle / "usr"
    assert (usr["type"], usr["options"]) == ("overlay", ["ro", f"lowerdir={lacking}:/usr"])
    (usr,) = [one for one in _mounts_of(CONTROL, facts) if one["destination"] == "/usr"]
    assert usr["type"] == "bind"


def _mounts_of(host: desired.Host, facts: see.MachineFacts) -> list[dict[str, object]]:
    mounts: list[dict[str, object]] = json.loads(json.dumps(bundle.config(asked(host, facts), facts)))["mounts"]
    return mounts


def test_digest_is_of_what_cannot_be_changed_in_place() -> None:
    digest = wanted.digest(CONTROL, 61001)
    replace = {"limits": desired.Limits(), "names": {}, "zone": "c", "legs": ()}
    same = desired.Host(**{field: getattr(CONTROL, field) for field in CONTROL.__struct_fields__} | replace)
    assert wanted.digest(same, 61001) == digest
    assert wanted.digest(CONTROL, 61002) != digest
    for field, value in {
        "hostname": "x",
        "shape": NODE.shape,
        "disk": NODE.disk,
        "role": "edge",
        "privilege": "privileged",
    }.items():
        other = desired.Host(**{f: getattr(CONTROL, f) for f in CONTROL.__struct_fields__} | {field: value})
        assert wanted.digest(other, 61001) != digest, field


def test_what_a_host_may_do_and_what_it_is_for_are_two_things() -> None:
    """Each of these could be asked for some day; the agent takes none of them yet."""
    plain = json.loads(json.dumps(bundle.config(asked(CONTROL, V1), V1)))
    might = dataclasses.replace(asked(msgspec.structs.replace(CONTROL, privilege="privileged"), V1), uid=0)
    made = json.loads(json.dumps(bundle.config(might, V1)))
    assert (made["root"], made["process"]["args"]) == (plain["root"], plain["process"]["args"])
    assert made["process"]["capabilities"]["bounding"] == list(V1.capabilities)
    assert plain["process"]["capabilities"]["bounding"] == []
    for_pods = dataclasses.replace(asked(msgspec.structs.replace(NODE, privilege="unprivileged"), V1), uid=61001)
    made = json.loads(json.dumps(bundle.config(for_pods, V1)))
    assert made["root"]["path"] == str(INSTANCE.host("node-1").node_root)
    assert made["process"]["noNewPrivileges"]
    assert made["process"]["capabilities"]["bounding"] == []
    assert set(plain["linux"]["maskedPaths"]) < set(made["linux"]["maskedPaths"])


@pytest.mark.parametrize(
    ("role", "privilege"), [("node", "unprivileged"), ("edge", "privileged"), ("api", "privileged")]
)
def test_digest_tells_a_privilege_that_no_earlier_release_gave(
    role: desired.Role, privilege: desired.Privilege
) -> None:
    usual: desired.Privilege = "privileged" if privilege == "unprivileged" else "unprivileged"
    hosts = (msgspec.structs.replace(CONTROL, role=role, privilege=each) for each in (privilege, usual))
    assert len({wanted.digest(host, 0) for host in hosts}) == 2


def test_tree_of_a_control_host() -> None:
    made = tree.plan(asked(CONTROL, V1), V1)
    assert "host:x:61001:61001:" in made.files["etc/passwd"]
    assert made.files["etc/hosts"].splitlines()[-2:] == ["198.19.0.10 etcd-a", "198.19.0.11 etcd-b"]
    assert made.links == {"bin": "usr/bin", "lib": "usr/lib"}
    assert "init" not in made.files
    assert made.files["etc/machine-id"] != tree.plan(asked(NODE, V1), V1).files["etc/machine-id"]


def test_init_of_a_node_keeps_each_sysctl_from_the_machine() -> None:
    made = tree.plan(asked(NODE, V1), V1)
    for name, value in tree.SYSCTLS.items():
        assert f"echo {value} >/run/sysctl/{name}\n" in made.files["init"]
        path = name.replace(".", "/")
        assert f"/run/sysctl/{name} /proc/sys/{path} none bind" in made.files["etc/fstab"]
    assert made.files["init"].endswith("exec /usr/bin/s6-svscan /run/service\n")


def test_made_tree_is_repaired(tmp_path: Path) -> None:
    root = tmp_path / "root"
    made = tree.Tree(folders=("etc", "etc/units", "tmp"), files={"etc/hosts": "text\n"}, links={"bin": "usr/bin"})
    tree.make(made, root)
    inode = (root / "etc/hosts").stat().st_ino
    tree.make(made, root)
    assert (root / "etc/hosts").stat().st_ino == inode, "what is right is left alone"
    (root / "etc/hosts").unlink()
    (root / "etc/hosts").symlink_to("/etc/passwd")
    (root / "bin").unlink()
    (root / "bin").symlink_to("elsewhere")
    before = Path("/etc/passwd").read_bytes()
    tree.make(made, root)
    assert (root / "etc/hosts").read_text() == "text\n"
    assert not (root / "etc/hosts").is_symlink()
    assert (root / "bin").readlink() == Path("usr/bin")
    assert Path("/etc/passwd").read_bytes() == before


def test_shape_says_what_the_type_says() -> None:
    asked_shape = desired.Shape(vcpus=4, memory=16 << 30)
    paragraph = "processor\t: 0\nmodel name\t: Some\nsiblings\t: 1\ncore id\t\t: 7"
    files = shape.files(asked_shape, shape.processors(4, (0, 1), "n"), paragraph)
    assert f"MemTotal:       {16 << 20} kB\n" in files["meminfo"]
    assert files["cpuinfo"].count("model name\t: Some") == 4
    assert [line.split()[-1] for line in files["cpuinfo"].splitlines() if line.startswith("core id")] == list("0011")
    assert files["cpu/online"] == "0-3\n"
    assert files["cpu/cpu3/topology/thread_siblings_list"] == "2-3\n"
    assert files["node/node0/meminfo"].startswith(f"Node 0 MemTotal:       {16 << 20} kB\n")
    assert shape.key(files, {}) != shape.key(files | {"meminfo": ""}, {})


@pytest.mark.parametrize(
    ("paragraph", "speeds"),
    [
        ("processor\t: 0\nvendor_id\t: User Mode Linux\nmodel name\t: UML", ["2500.000"] * 2),
        ("processor\t: 0\nvendor_id\t: GenuineIntel\ncpu MHz\t\t: 2000.170", ["2000.170"] * 2),
        ("processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41", []),
    ],
)
def test_every_processor_of_x86_has_a_speed(paragraph: str, speeds: list[str]) -> None:
    """As cadvisor reads it: without one kubelet does not start."""
    text = shape.cpuinfo(shape.processors(2, (0, 1), "n"), paragraph)
    assert re.findall(r"(?:cpu MHz|CPU MHz)\s*:\s*([0-9]+\.[0-9]+)", text) == speeds


@given(st.integers(1, 200), st.sets(st.integers(0, 300), min_size=1), st.text(max_size=5))
def test_kubelet_counts_each_processor_and_writes_only_numbers_of_the_machine(
    vcpus: int, machine: set[int], host_id: str
) -> None:
    """As cadvisor reads the tree: a number from each name, which must be online; a core's threads are distinct."""
    of = shape.processors(vcpus, tuple(sorted(machine)), host_id)
    files = shape.files(desired.Shape(vcpus=vcpus, memory=1 << 30), of, "processor\t: 0")
    links = shape.links(of)
    assert len(links) == len(of.numbers) == vcpus
    assert sorted(set(links.values())) == sorted(f"../../cpu/cpu{number}" for number in of.numbers)
    cores: dict[str, list[int]] = {}
    for name, target in links.items():
        number = int(name.removeprefix("node/node0/cpu"))
        assert number in machine
        assert number in of.numbers
        core = files[f"{target.removeprefix('../../')}/topology/core_id"]
        cores.setdefault(core, []).append(number)
    assert all(len(set(threads)) == len(threads) for threads in cores.values())


def test_small_hosts_are_spread_over_a_big_machine() -> None:
    machine = tuple(range(16))
    used = {shape.processors(2, machine, f"node-{number}").numbers for number in range(100)}
    assert used == {(first, first + 1) for first in range(0, 16, 2)}


@pytest.mark.parametrize(
    ("numbers", "bits", "listed"),
    [((0,), "00000001", "0"), ((2, 3), "0000000c", "2-3"), ((0, 1, 7, 32), "00000001,00000083", "0-1,7,32")],
)
def test_sets_of_processors_are_as_the_kernel_writes_them(numbers: tuple[int, ...], bits: str, listed: str) -> None:
    assert shape.mask(numbers) == bits
    assert shape.ranges(numbers) == listed
