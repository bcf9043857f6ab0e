"""The names of packages in the families of distributions, and how each family installs them.

A name of None means that the family does not package the program: it has to come from its makers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roadstead.machine.doctor import facts

_S6 = ("s6-svscan", "s6-log", "s6-svc", "s6-ipcserver")

MAKERS: Mapping[str, str] = {
    "nft": "https://netfilter.org/projects/nftables/",
    "libnftables": "https://netfilter.org/projects/nftables/",
    **dict.fromkeys(_S6, "https://skarnet.org/software/s6/"),
    "runc": "https://github.com/opencontainers/runc",
    "haproxy": "https://www.haproxy.org/",
    "unshare": "https://github.com/util-linux/util-linux",
    "losetup": "https://github.com/util-linux/util-linux",
    "setpriv": "https://github.com/util-linux/util-linux",
    "ip": "https://wiki.linuxfoundation.org/networking/iproute2",
    "conntrack": "https://conntrack-tools.netfilter.org/",
    "mkfs.ext4": "https://e2fsprogs.sourceforge.net/",
}

PACKAGES: Mapping[facts.Family, Mapping[str, str | None]] = {
    "debian": {
        "nft": "nftables",
        "libnftables": "libnftables1",
        **dict.fromkeys(_S6, "s6"),
        "runc": "runc",
        "haproxy": "haproxy",
        "unshare": "util-linux",
        "losetup": "mount",
        "setpriv": "util-linux",
        "ip": "iproute2",
        "conntrack": "conntrack",
        "mkfs.ext4": "e2fsprogs",
    },
    "fedora": {
        "nft": "nftables",
        "libnftables": "nftables",
        **dict.fromkeys(_S6, None),
        "runc": "runc",
        "haproxy": "haproxy",
        "unshare": "util-linux",
        "losetup": "util-linux",
        "setpriv": "util-linux",
        "ip": "iproute",
        "conntrack": "conntrack-tools",
        "mkfs.ext4": "e2fsprogs",
    },
    "arch": {
        "nft": "nftables",
        "libnftables": "nftables",
        **dict.fromkeys(_S6, "s6"),
        "runc": "runc",
        "haproxy": "haproxy",
        "unshare": "util-linux",
        "losetup": "util-linux",
        "setpriv": "util-linux",
        "ip": "iproute2",
        "conntrack": "conntrack-tools",
        "mkfs.ext4": "e2fsprogs",
    },
    "opensuse": {
        "nft": "nftables",
        "libnftables": "libnftables1",
        **dict.fromkeys(_S6, None),
        "runc": "runc",
        "haproxy": "haproxy",
        "unshare": "util-linux",
        "losetup": "util-linux",
        "setpriv": "util-linux",
        "ip": "iproute2",
        "conntrack": "conntrack-tools",
        "mkfs.ext4": "e2fsprogs",
    },
    "alpine": {
        "nft": "nftables",
        "libnftables": "nftables",
        **dict.fromkeys(_S6, "s6"),
        "runc": "runc",
        "haproxy": "haproxy",
        "unshare": "util-linux",
        "losetup": "util-linux",
        "setpriv": "setpriv",
        "ip": "iproute2",
        "conntrack": "conntrack-tools",
        "mkfs.ext4": "e2fsprogs",
    },
}

# What ID and ID_LIKE of os-release say, by family.
_IDS: Mapping[str, facts.Family] = {
    **dict.fromkeys(("debian", "ubuntu", "raspbian", "linuxmint", "pop"), "debian"),
    **dict.fromkeys(("fedora", "rhel", "centos", "rocky", "almalinux", "ol", "amzn"), "fedora"),
    **dict.fromkeys(("arch", "archlinux", "manjaro", "endeavouros"), "arch"),
    **dict.fromkeys(("opensuse", "suse", "sles", "opensuse-leap", "opensuse-tumbleweed"), "opensuse"),
    "alpine": "alpine",
}


def family(identity: str, like: str) -> facts.Family | None:
    """The family for ID and ID_LIKE of os-release(5); None for one that is not known here."""
    for name in (identity, *like.split()):
        if name in _IDS:
            return _IDS[name]
    return None


def package(family: facts.Family | None, tool: str) -> str | None:
    """The package that holds a program; None where there is none, or the family is not known."""
    return PACKAGES[family][tool] if family else None


def install(family: facts.Family, packages: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The commands that install packages without a question, in order."""
    match family:
        case "debian":
            apt = ("apt-get", "-o", "DPkg::Lock::Timeout=120")
            return (
                (*apt, "update"),
                (*apt, "install", "--yes", "--no-install-recommends", *packages),
            )
        case "fedora":
            return (("dnf", "install", "--assumeyes", "--setopt=install_weak_deps=False", *packages),)
        case "arch":
            # Without --refresh: a refreshed index with older packages beside it is what Arch calls unsupported.
            return (("pacman", "--sync", "--needed", "--noconfirm", *packages),)
        case "opensuse":
            return (("zypper", "--non-interactive", "install", "--no-recommends", *packages),)
        case "alpine":
            return (("apk", "add", *packages),)


_BY_HAND: Mapping[facts.Family, str] = {
    "debian": "apt-get install",
    "fedora": "dnf install",
    "arch": "pacman -S",
    "opensuse": "zypper install",
    "alpine": "apk add",
}


def by_hand(family: facts.Family, package: str) -> str:
    """The command a human would type."""
    return f"sudo {_BY_HAND[family]} {package}"
