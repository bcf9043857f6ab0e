"""Pure checks: facts in, findings out. `check` is the whole of it; each check is a generator of its own."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from roadstead.clusters.capacity import sums
from roadstead.machine.doctor import distributions, findings, kernel, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roadstead.machine.doctor import facts

GIB = 2**30
CONTROL_PLANE = sums.Load(control_planes=1).memory
NODE = sums.Load(nodes=1).memory
"""What is needed, by the sums by which clusters are let in: for each node without the pods of its user."""
SMALLEST = CONTROL_PLANE + NODE
USUAL = CONTROL_PLANE + 3 * NODE

DISK_LEAST = 5 * GIB
DISK_GOOD = 20 * GIB
"""Engines take 1 GiB a version while they are built, images and etcd the rest."""

DESCRIPTORS = 65536
OVERLAY_UPPER = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "f2fs", "zfs", "bcachefs"})
"""File systems that overlay can write to: it needs whiteouts, file types in folders and xattrs."""


def check(seen: facts.DoctorFacts) -> tuple[findings.Finding, ...]:
    """All findings, in the order of the groups."""
    found = [finding for look in CHECKS for finding in look(seen)]
    return tuple(sorted(found, key=lambda finding: findings.GROUPS.index(finding.group)))


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


def _computer(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    title = f"{seen.distribution.name}, {seen.architecture}, {seen.cores} cores"
    if seen.architecture in ("x86_64", "aarch64"):
        yield findings.Finding("machine/architecture", "ok", title)
    else:
        yield findings.Finding(
            "machine/architecture",
            "blocks",
            title,
            "Engines exist for x86_64 and aarch64 only.",
            "Use a machine of one of these, with a 64-bit system.",
        )
    python = ".".join(str(part) for part in seen.python)
    if seen.python >= (3, 11):
        yield findings.Finding("machine/python", "ok", f"Python {python}")
    else:
        yield findings.Finding(
            "machine/python",
            "blocks",
            f"Python {python}",
            "Roadstead needs Python 3.11 or newer.",
            "Install a newer one, or uv (https://docs.astral.sh/uv/), which brings its own.",
        )
    if seen.systemd:
        yield findings.Finding("machine/systemd", "ok", "systemd starts Roadstead at boot")
    else:
        yield findings.Finding("machine/systemd", "ok", "no systemd: have `roadstead start` run at boot")
    if not seen.root:
        yield findings.Finding(
            "machine/user",
            "warning",
            "looked without root",
            "Some things can only be seen or tried by root, so this picture is not whole.",
            "Run `sudo roadstead doctor`.",
        )


def _memory(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    limit = seen.memory.limit
    total = min(seen.memory.total, limit) if limit else seen.memory.total
    free = min(seen.memory.available, total)
    title = f"memory: {_gib(free)} free of {_gib(total)}"
    need = f"A control plane takes {_gib(CONTROL_PLANE)} and a node {NODE / GIB:.2f} GiB"
    if total < SMALLEST:
        yield findings.Finding(
            "machine/memory",
            "blocks",
            title,
            f"{need}: not even a cluster with one node fits.",
            f"Give the machine at least {_gib(2 * GIB)}, better 4 GiB.",
        )
    elif free < USUAL:
        nodes = max((free - CONTROL_PLANE) // NODE, 0)
        fits = f"only a cluster with {nodes} nodes fits now" if nodes else "no cluster fits in what is free now"
        yield findings.Finding(
            "machine/memory",
            "warning",
            title,
            f"{need}: {fits}.",
            "Give the machine more memory, or stop other programs.",
        )
    else:
        yield findings.Finding("machine/memory", "ok", f"{title}, room for {free // USUAL} clusters of three nodes")


def _disk(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    disk = seen.disk
    title = f"disk: {_gib(disk.free)} free at {disk.folder} ({disk.filesystem})"
    if disk.free >= DISK_GOOD:
        yield findings.Finding("machine/disk", "ok", title)
    else:
        yield findings.Finding(
            "machine/disk",
            "blocks" if disk.free < DISK_LEAST else "warning",
            title,
            f"Engines, images and etcd want {_gib(DISK_GOOD)}, and nothing works below {_gib(DISK_LEAST)}: kubelets "
            "throw pods out when a disk is nearly full, and etcd stops taking writes.",
            f"Free some space, or mount a larger disk at {disk.folder}.",
        )
    if "noexec" in disk.options:
        yield findings.Finding(
            "machine/noexec",
            "blocks",
            f"nothing can be run from {disk.folder}",
            "Engines are kept there, but it is mounted noexec.",
            f"Run `sudo mount -o remount,exec` for the file system of {disk.folder}, and mend /etc/fstab.",
        )
    if disk.filesystem not in OVERLAY_UPPER:
        able = seen.loops.control or seen.loops.free > 0
        yield findings.Finding(
            "machine/filesystem",
            "warning" if able else "blocks",
            f"containers cannot write to {disk.filesystem}",
            f"The overlay file system of containers cannot have its upper layer on {disk.filesystem}."
            + (" Nodes need a disk of their own (an ext4 image)." if able else ""),
            f"Mount a disk with ext4, xfs or btrfs at {disk.folder}; in a container: a volume.",
        )


def _loops(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    loops = seen.loops
    if loops.control or loops.free:
        more = ", more on demand" if loops.control else ""
        yield findings.Finding("machine/loops", "ok", f"loop devices: {loops.free} free{more}")
        return
    remedy = "Run `sudo modprobe loop`" if seen.kernel.modules is not None else "Boot a kernel with CONFIG_BLK_DEV_LOOP"
    yield findings.Finding(
        "machine/loops",
        "warning",
        "no loop device is free",
        "Nodes cannot have a disk of a size of their own; they share the machine's.",
        f"{remedy}; in a container give it /dev/loop-control and the loop devices.",
    )


def _descriptors(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    title = f"open files of a process: {seen.descriptors}"
    if seen.descriptors >= DESCRIPTORS or "CAP_SYS_RESOURCE" in seen.capabilities:
        yield findings.Finding("machine/descriptors", "ok", title)
        return
    yield findings.Finding(
        "machine/descriptors",
        "warning",
        title,
        f"Containers usually get {DESCRIPTORS} or more, and this limit cannot be raised here: programs with very "
        "many connections run into it.",
        "Raise the hard limit where Roadstead is started from: `ulimit -Hn`, LimitNOFILE= of the systemd unit, or "
        "`docker run --ulimit nofile=1048576`.",
    )


def _programs(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    found = {tool.name: tool for tool in seen.tools}
    for program in wanted.PROGRAMS:
        tool = found.get(program.name)
        if tool is None or tool.path is None:
            yield _unfit(seen, program, f"{program.name} is missing", f"It {program.purpose}.")
        elif program.minimum and tool.version and tool.version < program.minimum:
            has, least = (".".join(str(part) for part in v) for v in (tool.version, program.minimum))
            why = f", as {program.since}" if program.since else ""
            yield _unfit(
                seen,
                program,
                f"{program.name} {has} is too old",
                f"It {program.purpose}; {least} is needed{why}.",
            )
        elif program.name == "runc":
            yield _runc(seen, program, tool)
        else:
            shown = ".".join(str(part) for part in tool.version) if tool.version and program.name != "s6-svscan" else ""
            yield findings.Finding(f"programs/{program.name}", "ok", f"{program.name} {shown}".strip())


def _runc(seen: facts.DoctorFacts, program: wanted.WantedProgram, tool: facts.Tool) -> findings.Finding:
    """What is known to be wrong with the machine's runc; where there is one of ours, hosts and pods run by that."""
    shown = ".".join(str(part) for part in tool.version) if tool.version else ""
    own = next((e.version for e in seen.engines or () if e.name == "runc" and not e.broken), None)
    if own is not None:
        return findings.Finding("programs/runc", "ok", f"runc {shown}; hosts and pods have Roadstead's own {own}")
    if tool.says and "libseccomp" not in tool.says:
        return _unfit(seen, program, f"runc {shown} has no seccomp", "Pods have its profile, and start with none else.")
    holes = wanted.holes(tool) if tool.version else ()
    if not holes:
        return findings.Finding("programs/runc", "ok", f"runc {shown}".strip())
    meaning = "; ".join(f"{hole.names}: {hole.meaning}" for hole in holes)
    package = wanted.packed(tool.says)
    if package is None and tool.version and tool.version < wanted.RUNC_LEAST:
        return _unfit(
            seen, program, f"runc {shown} is too old", f"Its makers mended later what lets pods out: {meaning}."
        )
    return findings.Finding(
        "programs/runc",
        "warning",
        f"runc {shown} may let pods out",
        f"Its makers mended later what this version has. {meaning}. Whether your distribution has mended that in its "
        f"package{f' {package}' if package else ''} cannot be told from here.",
        "Look it up at your distribution's security tracker, or run `roadstead engine get runc`: hosts and pods then "
        "run by Roadstead's own.",
    )


def _unfit(seen: facts.DoctorFacts, program: wanted.WantedProgram, title: str, meaning: str) -> findings.Finding:
    family = seen.distribution.family
    package = distributions.package(family, program.name)
    makers = distributions.MAKERS[program.name]
    if family and package:
        remedy = f"Run `{distributions.by_hand(family, package)}`."
        if title.endswith("too old"):
            remedy += f" If that brings none newer: {makers}"
    elif family:
        remedy = f"{seen.distribution.name} has no package of it: build it from {makers} and put it on root's PATH."
    else:
        remedy = f"Install it with the means of {seen.distribution.name}, or from {makers}"
    return findings.Finding(
        f"programs/{program.name}",
        "blocks" if program.blocks else "warning",
        title,
        meaning,
        remedy,
        findings.Package(package) if package else None,
    )


def _settings(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    for setting in wanted.SYSCTLS:
        value = seen.sysctls.get(setting.name)
        name = f"settings/{setting.name}"
        if value is None:
            yield findings.Finding(name, "ok", f"{setting.name} is not there yet")
        elif value >= setting.minimum:
            yield findings.Finding(name, "ok", f"{setting.name} = {value}")
        else:
            yield findings.Finding(
                name,
                "warning",
                f"{setting.name} = {value}, should be at least {setting.minimum}",
                setting.meaning[0].upper() + setting.meaning[1:] + ".",
                f"Run `sudo sysctl -w {setting.name}={setting.target}`, and write it to a file in /etc/sysctl.d.",
                findings.Setting(setting.name, setting.target),
            )


_LOST = "Nodes and pods reach each other, but packets between them and the world (images, the internet) are dropped."


def _firewalls(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    walls = seen.firewalls
    if not walls.read:
        yield findings.Finding(
            "firewall/rules",
            "warning",
            "the rules of the firewall could not be read",
            "A firewall that drops forwarded packets would cut nodes off from the world.",
            "Look again as root, with nft installed: `sudo roadstead doctor`.",
        )
    if walls.ufw_drops:
        yield findings.Finding(
            "firewall/ufw",
            "warning",
            "ufw drops forwarded packets",
            _LOST,
            "Run `sudo ufw route allow in on rs+` and `sudo ufw route allow out on rs+`.",
        )
    if walls.firewalld:
        yield findings.Finding(
            "firewall/firewalld",
            "warning",
            "firewalld refuses forwarded packets of zones it does not know",
            _LOST,
            "Run `sudo firewall-cmd --permanent --zone=trusted --add-interface=rs+` and `sudo firewall-cmd --reload`.",
        )
    # ufw's and Docker's chain is the same one (FORWARD of table filter): with ufw on, ufw owns its policy.
    others = [chain for chain in walls.forward_drops if not (walls.ufw_drops and _is_iptables(chain))]
    for chain in others:
        yield _dropping(chain, docker=walls.docker)
    if walls.read and not (walls.ufw_drops or walls.firewalld or others):
        yield findings.Finding("firewall/rules", "ok", "no firewall drops forwarded packets")


def _is_iptables(chain: facts.Chain) -> bool:
    return chain.table == "filter" and chain.name == "FORWARD"


def _dropping(chain: facts.Chain, *, docker: bool) -> findings.Finding:
    where = f"chain {chain.name} of table {chain.family} {chain.table}"
    if _is_iptables(chain):
        command = {"ip6": "ip6tables", "iptables-legacy": "iptables-legacy"}.get(chain.family, "iptables")
        target = "DOCKER-USER" if docker else "FORWARD"
        rules = (f"sudo {command} -I {target} -{way} rs+ -j ACCEPT" for way in ("i", "o"))
    else:
        place = shlex.join((chain.family, chain.table, chain.name))
        rules = (f"sudo nft insert rule {place} {way} 'rs*' accept" for way in ("iifname", "oifname"))
    owner = "Docker" if docker and _is_iptables(chain) else "a firewall"
    return findings.Finding(
        f"firewall/{chain.family}-{chain.table}-{chain.name}",
        "warning",
        f"{owner} drops forwarded packets",
        f"{_LOST} It is the policy of {where}.",
        " and ".join(f"`{rule}`" for rule in rules).join(("Run ", ".")),
    )


def _engines(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    if seen.engines is None:
        return
    whole = [f"{engine.name} {engine.version}" for engine in seen.engines if not engine.broken]
    if whole or not seen.engines:
        title = ", ".join(whole) or "none yet: they come with the first cluster"
        yield findings.Finding("engines/cache", "ok", title)
    for engine in seen.engines:
        if engine.broken:
            name = f"{engine.name}-{engine.version}"
            yield findings.Finding(
                f"engines/{name}",
                "warning",
                f"{engine.name} {engine.version} is broken",
                f"It is not used as it is: {engine.broken}.",
                f"Run `roadstead engine get {name}`, which makes it again.",
            )


CHECKS: tuple[Callable[[facts.DoctorFacts], Iterator[findings.Finding]], ...] = (
    _computer,
    _memory,
    _disk,
    _loops,
    _descriptors,
    kernel.version,
    kernel.users,
    kernel.features,
    kernel.capabilities,
    kernel.cgroups,
    _programs,
    _settings,
    _firewalls,
    _engines,
)
