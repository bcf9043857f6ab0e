"""The doctor's reading of texts of the kernel and of programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.machine.doctor import facts, parse, wanted

MOUNTS = r"""/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 ro,relatime 0 0
/dev/vdb /var/lib ext4 rw 0 0
/dev/vdc /var/lib xfs rw,noexec 0 0
/dev/vdd /mnt/a\040b btrfs rw 0 0
 /mnt/sourceless tmpfs rw,relatime 0 0
"""
"""The last as Linux 6.18 shows `mount -t tmpfs "" /mnt/sourceless`."""


def test_mounts() -> None:
    mounts = parse.mounts(MOUNTS)
    assert mounts[3] == parse.MountEntry("/sys/fs/cgroup/cpu", "cgroup", frozenset({"rw", "cpu", "cpuacct"}))
    assert mounts[7].folder == "/mnt/a b"
    assert mounts[8] == parse.MountEntry("/mnt/sourceless", "tmpfs", frozenset({"rw", "relatime"}))


@pytest.mark.parametrize(
    ("path", "filesystem"),
    [("/", "ext4"), ("/var/library", "ext4"), ("/var/lib/roadstead", "xfs"), ("/mnt/a b", "btrfs")],
)
def test_the_mount_of_a_path_is_the_innermost_and_last(path: str, filesystem: str) -> None:
    mount = parse.mount_of(path, parse.mounts(MOUNTS))
    assert mount is not None
    assert mount.filesystem == filesystem


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n', "debian"),
        ('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', "debian"),
        ('NAME="Zorin"\nID=zorin\nID_LIKE="ubuntu debian"\n', "debian"),
        ('NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\n', "fedora"),
        ('NAME="openSUSE Leap"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "opensuse"),
        ("NAME='Arch Linux'\nID=arch\n", "arch"),
        ("# a comment\nID=alpine\n", "alpine"),
        ("ID=void\n", None),
        ("", None),
        ('NAME="no end\nID=arch', "arch"),
    ],
)
def test_distribution(text: str, family: facts.Family | None) -> None:
    assert parse.distribution(text).family == family


def test_the_name_of_a_distribution() -> None:
    assert parse.distribution('PRETTY_NAME="Debian GNU/Linux 12"\n').name == "Debian GNU/Linux 12"
    assert parse.distribution("").name == "an unknown Linux"


def test_memory() -> None:
    text = "MemTotal:       2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\nHugePages_Total:       0\n"
    assert parse.memory(text, None) == facts.Memory(2048 * 1024, 1024 * 1024)
    assert parse.memory(text, 1024).limit == 1024
    assert parse.memory(text, 9223372036854771712).limit is None


def test_capabilities() -> None:
    status = "Name:\tpython\nCapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n"
    assert parse.capabilities(status, "CapEff") == frozenset()
    bounding = parse.capabilities(status, "CapBnd")
    assert "CAP_SYS_ADMIN" in bounding
    assert "CAP_SYS_RESOURCE" not in bounding
    assert "CAP_SYS_RESOURCE" in parse.capabilities("CapEff:\t000001ffffffffff\n", "CapEff")


def test_user_namespaces() -> None:
    assert not parse.in_user_namespace("         0          0 4294967295\n")
    assert parse.in_user_namespace("         0     100000      65536\n")


LISTING = (Path(__file__).parent / "golden" / "nft-chains.json").read_text()
"""What `nft -j list chains` of nftables 1.0.6 says of tables as iptables-nft, Docker, firewalld and we make them."""


def test_chains() -> None:
    chains = parse.chains(LISTING)
    assert chains is not None
    assert parse.forward_drops(chains) == (facts.Chain("ip", "filter", "FORWARD"),)
    assert parse.has_chain(chains, "DOCKER-USER")
    assert parse.has_table(chains, "firewalld")
    assert not parse.has_table(chains, "ufw")


@pytest.mark.parametrize("text", ["", "Error: no JSON support", "[]", "null", "{}"])
def test_what_is_not_a_listing(text: str) -> None:
    assert parse.chains(text) is None


def test_legacy() -> None:
    assert parse.legacy_drops("-P FORWARD DROP\n") == (facts.Chain("iptables-legacy", "filter", "FORWARD"),)
    assert parse.legacy_drops("-P FORWARD ACCEPT\n") == ()


@pytest.mark.parametrize(
    ("conf", "defaults", "drops"),
    [
        ("ENABLED=yes\n", 'DEFAULT_FORWARD_POLICY="DROP"\n', True),
        ("ENABLED=yes\n", "", True),
        ("ENABLED=yes\n", 'DEFAULT_FORWARD_POLICY="ACCEPT"\n', False),
        ("# ENABLED=yes\nENABLED=no\n", 'DEFAULT_FORWARD_POLICY="DROP"\n', False),
        ("", "", False),
    ],
)
def test_ufw(conf: str, defaults: str, drops: bool) -> None:
    assert parse.ufw_drops(conf, defaults) is drops


@pytest.mark.parametrize(
    ("name", "output", "version"),
    [
        ("nft", "nftables v1.0.6 (Lester Gooch #5)", (1, 0, 6)),
        ("runc", "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1\nspec: 1.0.2-dev\ngo: go1.19.8", (1, 1, 5)),
        ("runc", "runc version 1.3.0-rc.1", (1, 3, 0)),
        ("haproxy", "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", (2, 6, 12)),
        ("conntrack", "conntrack v1.4.7 (conntrack-tools)", (1, 4, 7)),
        ("ip", "ip utility, iproute2-6.1.0, libbpf 1.1.2", (6, 1, 0)),
        ("ip", "ip utility, iproute2-ss200127", None),
        ("mkfs.ext4", "mke2fs 1.47.0 (5-Feb-2023)", (1, 47, 0)),
        ("losetup", "losetup from util-linux 2.38.1", (2, 38, 1)),
        ("setpriv", "setpriv from util-linux 2.38.1", (2, 38, 1)),
        ("s6-svscan", "s6-svscan: usage: s6-svscan [ -c maxservices ] [ -t timeout ] [ dir ]", (2, 10)),
        ("s6-svscan", "s6-svscan: usage: s6-svscan [ -S | -s ] [ -c maxservices ] [ dir ]", (2, 9)),
        ("s6-svscan", "cannot open shared object", None),
        ("nft", "", None),
    ],
)
def test_versions(name: str, output: str, version: facts.Version | None) -> None:
    assert wanted.version_in(name, output) == version
