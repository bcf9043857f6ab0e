"""The doctor's judgements on several kinds of machine, each made up as data."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.machine.doctor import checks, distributions, facts, findings, kernel, probes, wanted

GIB = 2**30

VERSIONS: dict[str, facts.Version] = {
    "nft": (1, 0, 6),
    "s6-svscan": (2, 10),
    "runc": (1, 3, 6),
    "haproxy": (2, 6, 12),
    "ip": (6, 1, 0),
}
TOOLS = tuple(
    facts.Tool(program.name, f"/usr/bin/{program.name}", VERSIONS.get(program.name)) for program in wanted.PROGRAMS
)
GOOD_SYSCTLS = {setting.name: setting.target for setting in wanted.SYSCTLS}
NO_FIREWALL = facts.Firewalls(forward_drops=(), docker=False, ufw_drops=False, firewalld=False)

SERVER = facts.DoctorFacts(
    root=True,
    user_namespace=False,
    architecture="x86_64",
    cores=8,
    python=(3, 11, 2),
    distribution=facts.DistributionFacts("Debian GNU/Linux 13 (trixie)", "debian"),
    systemd=True,
    kernel=facts.KernelFacts(
        release="6.12.57+deb13-amd64",
        features=tuple(facts.Feature(name, True) for name in kernel.FEATURES),
        modules=("overlay", "veth"),
        kmsg=True,
    ),
    capabilities=frozenset({*kernel.CAPABILITIES, "CAP_SYS_RESOURCE"}),
    cgroups=facts.Cgroups("v2", frozenset({"cpu", "cpuset", "memory", "pids", "io"}), frozenset({"memory", "pids"})),
    tools=TOOLS,
    sysctls=GOOD_SYSCTLS,
    firewalls=NO_FIREWALL,
    disk=facts.StateDisk("/var/lib/roadstead", "ext4", frozenset({"rw"}), 100 * GIB),
    memory=facts.Memory(32 * GIB, 30 * GIB),
    loops=facts.Loops(control=True, free=8, used=0),
    descriptors=1048576,
    engines=(facts.CachedEngine("kubernetes", "1.37.2"),),
)
"""A Debian 13 with nothing wrong."""

DOCKER = dataclasses.replace(
    SERVER,
    firewalls=dataclasses.replace(NO_FIREWALL, forward_drops=(facts.Chain("ip", "filter", "FORWARD"),), docker=True),
    sysctls={**GOOD_SYSCTLS, "fs.inotify.max_user_instances": 128},
)
"""The same with Docker."""

SANDBOX = dataclasses.replace(
    SERVER,
    systemd=False,
    kernel=dataclasses.replace(SERVER.kernel, release="6.18.44", modules=None),
    capabilities=frozenset(kernel.CAPABILITIES),
    cgroups=facts.Cgroups("hybrid", frozenset({*kernel.CONTROLLERS_V1, "blkio"})),
    sysctls={**GOOD_SYSCTLS, "fs.inotify.max_user_instances": 128, "net.ipv4.ip_forward": 0},
    descriptors=20000,
)
"""A small virtual machine without systemd, on cgroup v1, without CAP_SYS_RESOURCE."""

FEDORA = dataclasses.replace(
    SERVER,
    distribution=facts.DistributionFacts("Fedora Linux 43", "fedora"),
    tools=tuple(facts.Tool(tool.name, None) if tool.name in ("s6-svscan", "haproxy") else tool for tool in TOOLS),
    firewalls=dataclasses.replace(NO_FIREWALL, firewalld=True),
)
"""A Fedora with firewalld, without s6 and haproxy."""

BARE = dataclasses.replace(SERVER, tools=tuple(facts.Tool(program.name, None) for program in wanted.PROGRAMS))
"""A Debian without any of the programs."""

SMALL = dataclasses.replace(SERVER, memory=facts.Memory(int(1.9 * GIB), int(1.55 * GIB)))
"""A machine with 2 GiB of memory."""


def found(seen: facts.DoctorFacts) -> dict[str, findings.Finding]:
    return {finding.id: finding for finding in checks.check(seen)}


def amiss(seen: facts.DoctorFacts) -> dict[str, findings.Level]:
    return {finding.id: finding.level for finding in checks.check(seen) if finding.level != "ok"}


def test_a_good_server_has_nothing_amiss() -> None:
    assert amiss(SERVER) == {}


def with_runc(version: facts.Version | None, says: str) -> facts.DoctorFacts:
    tools = tuple(facts.Tool("runc", "/usr/sbin/runc", version, says) if t.name == "runc" else t for t in TOOLS)
    return dataclasses.replace(SERVER, tools=tools)


@pytest.mark.parametrize(
    ("says", "level", "told"),
    [
        ("runc version 1.1.0\ncommit: v1.1.0-0-g067aaf85\nlibseccomp: 2.5.3", "blocks", "CVE-2024-21626"),
        ("runc version 1.1.11\ncommit: v1.1.11-0-g4bccb38c\nlibseccomp: 2.5.3", "blocks", "CVE-2024-21626"),
        ("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nlibseccomp: 2.5.4", "warning", "1.1.5+ds1-1+deb12u1"),
        ("runc version 1.1.7-0ubuntu1~22.04.2\nlibseccomp: 2.5.3", "warning", "1.1.7-0ubuntu1~22.04.2"),
        ("runc version 1.1.12\nspec: 1.0.2-dev\nlibseccomp: 2.5.2", "warning", "CVE-2025-31133"),
        ("runc version 1.2.7\nlibseccomp: 2.5.4", "warning", "CVE-2025-52881"),
        ("runc version 1.2.8\nlibseccomp: 2.5.4", "ok", ""),
        ("runc version 1.3.2\nlibseccomp: 2.5.4", "warning", "CVE-2025-31133"),
        ("runc version 1.3.3\nlibseccomp: 2.5.4", "ok", ""),
        ("runc version 1.4.0-rc.1\nlibseccomp: 2.5.4", "warning", "CVE-2025-31133"),
        ("runc version 1.4.0\nlibseccomp: 2.5.4", "ok", ""),
        ("runc version 1.5.3\nspec: 1.3.0", "blocks", "seccomp"),
    ],
)
def test_a_runc_that_lets_pods_out_is_told_of_as_far_as_it_is_known(says: str, level: str, told: str) -> None:
    version = wanted.version_in("runc", says)
    seen = found(with_runc(version, says))["programs/runc"]
    assert seen.level == level
    assert told in seen.title + seen.meaning
    # With ours the machine's makes nothing.
    own = dataclasses.replace(with_runc(version, says), engines=(facts.CachedEngine("runc", "1.5.3"),))
    assert found(own)["programs/runc"].level == "ok"


def test_without_seccomp_no_pod_would_start() -> None:
    without = dataclasses.replace(SERVER, kernel=dataclasses.replace(SERVER.kernel, seccomp=False))
    assert amiss(without) == {"kernel/seccomp": "blocks"}


@pytest.mark.parametrize(("release", "level"), [("6.1.0-28-amd64", "warning"), ("6.3.0", "ok"), ("6.18.44", "ok")])
def test_it_is_told_where_root_of_a_node_is_root_of_the_machine(release: str, level: str) -> None:
    seen = dataclasses.replace(SERVER, kernel=dataclasses.replace(SERVER.kernel, release=release))
    assert found(seen)["kernel/users-of-nodes"].level == level


def test_docker_drops_forwarded_packets() -> None:
    assert amiss(DOCKER) == {
        "firewall/ip-filter-FORWARD": "warning",
        "settings/fs.inotify.max_user_instances": "warning",
    }
    firewall = found(DOCKER)["firewall/ip-filter-FORWARD"]
    assert firewall.title == "Docker drops forwarded packets"
    assert "`sudo iptables -I DOCKER-USER -i rs+ -j ACCEPT`" in firewall.remedy
    assert not firewall.mendable
    assert found(DOCKER)["settings/fs.inotify.max_user_instances"].mend == findings.Setting(
        "fs.inotify.max_user_instances", 8192
    )


def test_a_sandbox_without_systemd_can_run_with_warnings() -> None:
    assert amiss(SANDBOX) == {
        "machine/descriptors": "warning",
        "rights/CAP_SYS_RESOURCE": "warning",
        "cgroups/version": "warning",
        "settings/fs.inotify.max_user_instances": "warning",
        "settings/net.ipv4.ip_forward": "warning",
    }
    assert "`roadstead start`" in found(SANDBOX)["machine/systemd"].title


def test_fedora_has_no_package_of_s6_and_firewalld_refuses() -> None:
    assert amiss(FEDORA) == {
        "programs/s6-svscan": "blocks",
        "programs/haproxy": "blocks",
        "firewall/firewalld": "warning",
    }
    s6 = found(FEDORA)["programs/s6-svscan"]
    assert not s6.mendable
    assert "https://skarnet.org/software/s6/" in s6.remedy
    haproxy = found(FEDORA)["programs/haproxy"]
    assert haproxy.mend == findings.Package("haproxy")
    assert "`sudo dnf install haproxy`" in haproxy.remedy


def test_missing_programs_are_all_mendable_on_debian() -> None:
    missing = [finding for finding in checks.check(BARE) if finding.level != "ok"]
    assert {finding.id for finding in missing} == {f"programs/{program.name}" for program in wanted.PROGRAMS}
    assert all(finding.mendable for finding in missing)
    assert {finding.id for finding in missing if finding.level == "warning"} == {
        "programs/libnftables",
        "programs/unshare",
        "programs/conntrack",
        "programs/mkfs.ext4",
        "programs/losetup",
        "programs/setpriv",
    }


def test_a_distribution_that_is_not_known_gets_words_instead_of_packages() -> None:
    seen = dataclasses.replace(BARE, distribution=facts.DistributionFacts("Void", None))
    assert not any(finding.mendable for finding in checks.check(seen))
    assert "Void" in found(seen)["programs/runc"].remedy


def test_two_gib_hold_one_cluster_with_two_nodes() -> None:
    assert amiss(SMALL) == {"machine/memory": "warning"}
    assert "only a cluster with 2 nodes fits now" in found(SMALL)["machine/memory"].meaning


@pytest.mark.parametrize(
    ("memory", "level"),
    [
        (facts.Memory(1 * GIB, 1 * GIB), "blocks"),
        (facts.Memory(4 * GIB, GIB // 2), "warning"),
        (facts.Memory(4 * GIB, 3 * GIB), "ok"),
        (facts.Memory(64 * GIB, 60 * GIB, limit=1 * GIB), "blocks"),
        (facts.Memory(64 * GIB, 60 * GIB, limit=4 * GIB), "ok"),
    ],
)
def test_memory(memory: facts.Memory, level: findings.Level) -> None:
    assert found(dataclasses.replace(SERVER, memory=memory))["machine/memory"].level == level


@pytest.mark.parametrize(("free", "level"), [(4, "blocks"), (10, "warning"), (20, "ok")])
def test_disk(free: int, level: findings.Level) -> None:
    disk = dataclasses.replace(SERVER.disk, free=free * GIB)
    assert found(dataclasses.replace(SERVER, disk=disk))["machine/disk"].level == level


def test_overlay_on_overlay_needs_disks_of_their_own() -> None:
    disk = dataclasses.replace(SERVER.disk, filesystem="overlay")
    seen = dataclasses.replace(SERVER, disk=disk)
    assert amiss(seen) == {"machine/filesystem": "warning"}
    without = dataclasses.replace(seen, loops=facts.Loops(control=False, free=0, used=0))
    assert amiss(without) == {"machine/filesystem": "blocks", "machine/loops": "warning"}


@pytest.mark.parametrize(
    ("release", "level"),
    [("5.4.0-100-generic", "blocks"), ("5.12.19", "blocks"), ("5.13.0", "ok"), ("6.6.1-arch1-1", "ok")],
)
def test_kernel_version(release: str, level: findings.Level) -> None:
    seen = dataclasses.replace(SERVER, kernel=dataclasses.replace(SERVER.kernel, release=release))
    assert found(seen)["kernel/version"].level == level


def test_a_feature_that_failed_blocks_and_one_not_tried_warns() -> None:
    features = (facts.Feature("overlay", False, "unknown filesystem"), facts.Feature("nft", None, "no nft"))
    seen = dataclasses.replace(SERVER, kernel=dataclasses.replace(SERVER.kernel, features=features))
    assert amiss(seen) == {"kernel/overlay": "blocks", "kernel/nft": "warning"}
    assert "modprobe overlay" in found(seen)["kernel/overlay"].remedy
    fixed = dataclasses.replace(seen, kernel=dataclasses.replace(seen.kernel, modules=None))
    assert "CONFIG_OVERLAY_FS" in found(fixed)["kernel/overlay"].remedy


@pytest.mark.parametrize(
    ("groups", "level"),
    [
        (facts.Cgroups("v2", frozenset(kernel.CONTROLLERS_V2)), "ok"),
        (facts.Cgroups("v2", frozenset(kernel.CONTROLLERS_V2), crowded=True), "blocks"),
        (facts.Cgroups("v2", frozenset(kernel.CONTROLLERS_V2), frozenset(kernel.CONTROLLERS_V2), crowded=True), "ok"),
        (facts.Cgroups("v2", frozenset(kernel.CONTROLLERS_V2), read_only=("/sys/fs/cgroup",)), "blocks"),
        (facts.Cgroups("v1", frozenset(kernel.CONTROLLERS_V1), read_only=("/sys/fs/cgroup/cpu",)), "blocks"),
    ],
)
def test_delegation(groups: facts.Cgroups, level: findings.Level) -> None:
    assert found(dataclasses.replace(SERVER, cgroups=groups))["cgroups/delegation"].level == level


def test_a_controller_that_is_missing_blocks() -> None:
    seen = dataclasses.replace(SERVER, cgroups=facts.Cgroups("v2", frozenset({"cpu", "cpuset", "pids"})))
    assert amiss(seen) == {"cgroups/memory": "blocks"}
    assert "cgroup_enable=memory" in found(seen)["cgroups/memory"].remedy


def test_capabilities() -> None:
    seen = dataclasses.replace(SERVER, capabilities=SERVER.capabilities - {"CAP_SYS_ADMIN"})
    assert amiss(seen) == {"rights/CAP_SYS_ADMIN": "blocks"}
    assert amiss(dataclasses.replace(SERVER, user_namespace=True)) == {"rights/user-namespace": "blocks"}


def test_a_low_limit_of_open_files_does_not_matter_to_who_can_raise_it() -> None:
    assert amiss(dataclasses.replace(SERVER, descriptors=4096)) == {}


def test_engines() -> None:
    assert found(SERVER)["engines/cache"].title == "kubernetes 1.37.2"
    assert "none yet" in found(dataclasses.replace(SERVER, engines=()))["engines/cache"].title
    broken = dataclasses.replace(SERVER, engines=(facts.CachedEngine("etcd", "3.6.16", "it has no manifest.json"),))
    assert amiss(broken) == {"engines/etcd-3.6.16": "warning"}
    assert "engines/cache" not in found(broken)
    assert "engines/cache" not in found(dataclasses.replace(SERVER, engines=None))


def test_old_programs_block() -> None:
    old = tuple(dataclasses.replace(tool, version=(1, 0, 0)) if tool.name == "nft" else tool for tool in TOOLS)
    nft = found(dataclasses.replace(SERVER, tools=old))["programs/nft"]
    assert (nft.level, nft.title) == ("blocks", "nft 1.0.0 is too old")


def test_ufw_owns_the_policy_of_its_chain() -> None:
    walls = facts.Firewalls((facts.Chain("ip", "filter", "FORWARD"),), docker=False, ufw_drops=True, firewalld=False)
    assert amiss(dataclasses.replace(SERVER, firewalls=walls)) == {"firewall/ufw": "warning"}


def test_a_chain_of_nftables_is_opened_by_nft() -> None:
    walls = dataclasses.replace(NO_FIREWALL, forward_drops=(facts.Chain("inet", "mine", "forward"),))
    finding = found(dataclasses.replace(SERVER, firewalls=walls))["firewall/inet-mine-forward"]
    assert "`sudo nft insert rule inet mine forward iifname 'rs*' accept`" in finding.remedy


def test_a_sysctl_that_is_not_there_yet_is_fine() -> None:
    seen = dataclasses.replace(SERVER, sysctls={**GOOD_SYSCTLS, "net.netfilter.nf_conntrack_max": None})
    assert amiss(seen) == {}


def test_each_probe_is_explained_and_each_program_has_makers_and_packages() -> None:
    assert {probe.feature for probe in probes.PROBES} == set(kernel.FEATURES)
    names = {program.name for program in wanted.PROGRAMS}
    assert set(distributions.MAKERS) == names
    for family, packages in distributions.PACKAGES.items():
        assert set(packages) == names, family


sizes = st.integers(0, 64 * GIB)
names = st.sampled_from(["ip", "inet", "filter", "FORWARD", "forward", "mine"])
any_facts = st.builds(
    facts.DoctorFacts,
    root=st.booleans(),
    user_namespace=st.booleans(),
    architecture=st.sampled_from(["x86_64", "aarch64", "riscv64"]),
    cores=st.integers(1, 256),
    python=st.sampled_from([(3, 9, 1), (3, 11, 0), (3, 14, 2)]),
    distribution=st.builds(
        facts.DistributionFacts, name=st.just("Some Linux"), family=st.sampled_from([None, *distributions.PACKAGES])
    ),
    systemd=st.booleans(),
    kernel=st.builds(
        facts.KernelFacts,
        release=st.sampled_from(["4.19.0", "5.13.1-x", "6.18", "strange"]),
        features=st.tuples(
            *(st.builds(facts.Feature, st.just(name), st.none() | st.booleans()) for name in kernel.FEATURES)
        ),
        modules=st.none() | st.just(("overlay",)),
        kmsg=st.booleans(),
    ),
    capabilities=st.frozensets(st.sampled_from([*kernel.CAPABILITIES, "CAP_SYS_RESOURCE"])),
    cgroups=st.builds(
        facts.Cgroups,
        version=st.sampled_from(["v1", "v2", "hybrid", "none"]),
        controllers=st.frozensets(st.sampled_from(kernel.CONTROLLERS_V1)),
        enabled=st.frozensets(st.sampled_from(kernel.CONTROLLERS_V2)),
        read_only=st.sampled_from([(), ("/sys/fs/cgroup",)]),
        crowded=st.booleans(),
    ),
    tools=st.tuples(
        *(
            st.builds(
                facts.Tool, st.just(program.name), st.none() | st.just("/bin/it"), st.sampled_from([None, (0,), (99,)])
            )
            for program in wanted.PROGRAMS
        )
    ),
    sysctls=st.fixed_dictionaries({setting.name: st.none() | st.integers(0, 2**31) for setting in wanted.SYSCTLS}),
    firewalls=st.builds(
        facts.Firewalls,
        forward_drops=st.lists(st.builds(facts.Chain, names, names, names), max_size=3, unique=True).map(tuple),
        docker=st.booleans(),
        ufw_drops=st.booleans(),
        firewalld=st.booleans(),
        read=st.booleans(),
    ),
    disk=st.builds(
        facts.StateDisk,
        folder=st.just("/var/lib/roadstead"),
        filesystem=st.sampled_from(["ext4", "overlay", "nfs4"]),
        options=st.frozensets(st.sampled_from(["rw", "noexec"])),
        free=sizes,
    ),
    memory=st.builds(facts.Memory, sizes, sizes, st.none() | sizes),
    loops=st.builds(facts.Loops, st.booleans(), st.integers(0, 8), st.integers(0, 8)),
    descriptors=st.integers(256, 2**20),
    engines=st.none()
    | st.just(())
    | st.just((facts.CachedEngine("etcd", "3.6.16"), facts.CachedEngine("etcd", "3.7.0", "cut off"))),
)


@given(any_facts)
def test_each_finding_is_whole(seen: facts.DoctorFacts) -> None:
    """Whatever the machine: what is amiss says what it means and how to mend it, and ids are one of a kind."""
    looked = checks.check(seen)
    assert len({finding.id for finding in looked}) == len(looked)
    assert [finding.group for finding in looked] == sorted(
        (finding.group for finding in looked), key=lambda group: findings.GROUPS.index(group)
    )
    for finding in looked:
        assert finding.title
        if finding.level == "ok":
            assert (finding.meaning, finding.remedy, finding.mend) == ("", "", None)
        else:
            assert finding.meaning.endswith("."), finding
            assert finding.remedy, finding
