"""Tries what the kernel can by doing it, each time in namespaces that end with the process that tries.

A probe is a short child under unshare(1); its mounts, links and rules are in its own namespaces, so the kernel
removes them when it exits, however it exits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.machine.doctor import facts

if TYPE_CHECKING:
    from collections.abc import Sequence

DEADLINE = 5.0
"""Seconds for one child; usually they take milliseconds."""


@dataclass(frozen=True)
class Ran:
    """How a child ended. `code` is None where it could not be run, or did not end in time."""

    code: int | None
    output: str
    """What it printed to both its outputs."""


def program(name: str) -> str | None:
    """Where a program is, on PATH or in the folders of root's programs, which a user's PATH often lacks."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")


def run(argv: Sequence[str], text: str = "") -> Ran:
    """Runs a program with `text` as its input, in plain English, with a deadline."""
    path = program(argv[0])
    if path is None:
        return Ran(None, f"{argv[0]} is not installed")
    try:
        done = subprocess.run(
            [path, *argv[1:]],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=DEADLINE,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return Ran(None, f"{argv[0]} did not end within {DEADLINE:.0f} s")
    except OSError as error:
        return Ran(None, f"{argv[0]} cannot be run: {error.strerror}")
    return Ran(done.returncode, done.stdout)


@dataclass(frozen=True)
class KernelProbe:
    """One thing to try: `namespaces` are unshare's options, `argv` runs in them, `text` is its input."""

    feature: str
    namespaces: tuple[str, ...]
    argv: tuple[str, ...]
    text: str = ""


_OVERLAY = (
    "mount -t tmpfs none /tmp && cd /tmp && mkdir lower upper work merged && mount -t overlay none -o "
    "lowerdir=lower,upperdir=upper,workdir=work merged && touch merged/file"
)

_TABLE = "add table inet probe\n"
_FILTER = _TABLE + "add chain inet probe filter { type filter hook prerouting priority 0; }\n"
_NAT = _TABLE + "add chain inet probe nat { type nat hook postrouting priority 100; }\n"
_REJECT = _TABLE + "add chain inet probe input { type filter hook input priority 0; }\n"
_DNAT = _TABLE + "add chain inet probe before { type nat hook prerouting priority -100; }\n"


def _nft(feature: str, rules: str) -> KernelProbe:
    return KernelProbe(feature, ("--net",), ("nft", "-f", "-"), rules)


PROBES: tuple[KernelProbe, ...] = (
    KernelProbe("namespace-mount", ("--mount",), ("true",)),
    KernelProbe("namespace-uts", ("--uts",), ("true",)),
    KernelProbe("namespace-ipc", ("--ipc",), ("true",)),
    KernelProbe("namespace-pid", ("--pid", "--fork", "--kill-child"), ("true",)),
    KernelProbe("namespace-network", ("--net",), ("true",)),
    KernelProbe("namespace-cgroup", ("--cgroup",), ("true",)),
    KernelProbe("overlay", ("--mount",), ("sh", "-c", _OVERLAY)),
    KernelProbe(
        "veth",
        ("--net",),
        ("ip", "link", "add", "name", "probe0", "type", "veth", "peer", "name", "probe1"),
    ),
    _nft("nft", _FILTER),
    _nft("nft-fib", _FILTER + "add rule inet probe filter fib saddr . iif oif missing drop\n"),
    _nft("nft-nat", _DNAT + "add rule inet probe before tcp dport 80 dnat ip to 192.0.2.1:8080\n"),
    _nft("nft-masquerade", _NAT + "add rule inet probe nat masquerade\n"),
    _nft("nft-reject", _REJECT + "add rule inet probe input reject with icmpx admin-prohibited\n"),
    _nft("nft-ct", _FILTER + "add rule inet probe filter ct state established,related accept\n"),
    _nft(
        "nft-numgen",
        _FILTER + "add rule inet probe filter numgen random mod 2 vmap { 0 : accept, 1 : drop }\n",
    ),
)


def try_one(probe: KernelProbe, *, root: bool) -> facts.Feature:
    """Tries one thing. Without root it is tried in a user namespace; what fails there, root may still be able to do."""
    user = () if root else ("--user", "--map-root-user")
    for needed in ("unshare", probe.argv[0]):
        if program(needed) is None:
            return facts.Feature(probe.feature, None, f"{needed} is not installed")
    ran = run(("unshare", *user, *probe.namespaces, "--", *probe.argv), probe.text)
    if ran.code == 0:
        return facts.Feature(probe.feature, True)
    detail = " ".join(ran.output.split()) or f"exit code {ran.code}"
    if ran.code is None or not root:
        return facts.Feature(probe.feature, None, detail)
    return facts.Feature(probe.feature, False, detail)
