"""Reads the facts of this machine. It changes nothing, and needs no root (but sees more with it)."""

from __future__ import annotations

import concurrent.futures
import ctypes
import dataclasses
import os
import platform
import resource
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.core import errors, instance
from roadstead.machine.doctor import facts, parse, probes, wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAID = 500
LIBNFTABLES = "libnftables.so.1"


def see(state: Path = instance.STATE_ROOT) -> facts.DoctorFacts:
    """Looks at the machine once; programs and probes run side by side. `state` is the folder that will grow."""
    root = os.geteuid() == 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        firewalls = pool.submit(_firewalls)
        tools = [pool.submit(_tool, program) for program in wanted.PROGRAMS]
        features = [pool.submit(probes.try_one, probe, root=root) for probe in probes.PROBES]
        mounts = parse.mounts(_text("/proc/mounts"))
        groups = _cgroups(mounts, root=root)
        status = _text("/proc/self/status")
        return facts.DoctorFacts(
            root=root,
            user_namespace=parse.in_user_namespace(_text("/proc/self/uid_map")),
            architecture=platform.machine(),
            cores=len(os.sched_getaffinity(0)),
            python=sys.version_info[:3],
            distribution=parse.distribution(_first(("/etc/os-release", "/usr/lib/os-release"))),
            systemd=Path("/run/systemd/system").is_dir(),
            capabilities=parse.capabilities(status, "CapEff" if root else "CapBnd"),
            cgroups=groups,
            sysctls={setting.name: sysctl(setting.name) for setting in wanted.SYSCTLS},
            disk=_disk(state, mounts),
            memory=parse.memory(_text("/proc/meminfo"), _memory_limit(mounts)),
            loops=_loops(),
            descriptors=_descriptors(),
            engines=engine_facts(),
            kernel=facts.KernelFacts(
                release=platform.release(),
                features=tuple(feature.result() for feature in features),
                modules=_modules(),
                kmsg=Path("/dev/kmsg").exists(),
                seccomp="\nSeccomp:" in status,
            ),
            tools=tuple(tool.result() for tool in tools),
            firewalls=firewalls.result(),
        )


def _text(path: str | Path) -> str:
    """A file's text; empty where it is not there or may not be read, which is a fact like others."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _first(paths: Iterable[str]) -> str:
    return next((text for path in paths if (text := _text(path))), "")


def sysctl(name: str, tree: Path = Path("/proc/sys")) -> int | None:
    """A setting of the kernel that is a number; None where the kernel does not have it."""
    value = _text(tree / name.replace(".", "/")).strip()
    return int(value) if value.lstrip("-").isdigit() else None


def _modules() -> tuple[str, ...] | None:
    if not Path("/proc/modules").exists():
        return None
    return tuple(sorted(line.split()[0] for line in _text("/proc/modules").splitlines()))


def _tool(program: wanted.WantedProgram) -> facts.Tool:
    if program.name == "libnftables":
        try:
            ctypes.CDLL(LIBNFTABLES)
        except OSError:
            return facts.Tool(program.name, None)
        return facts.Tool(program.name, LIBNFTABLES)
    path = probes.program(program.name)
    if path is None:
        return facts.Tool(program.name, None)
    if program.ask is None:
        return facts.Tool(program.name, path)
    output = probes.run((path, *program.ask)).output
    if "BusyBox" in output:
        return facts.Tool(program.name, None)
    return facts.Tool(program.name, path, wanted.version_in(program.name, output), output[:_SAID])


def _firewalls() -> facts.Firewalls:
    listed = probes.run(("nft", "-j", "list", "chains"))
    chains = parse.chains(listed.output) if listed.code == 0 else None
    older = ""
    # Asked only where the old table is loaded: asking for it would load it.
    if "filter" in _text("/proc/net/ip_tables_names").split():
        older = probes.run(("iptables-legacy", "-S", "FORWARD")).output
    return facts.Firewalls(
        forward_drops=(*parse.forward_drops(chains or ()), *parse.legacy_drops(older)),
        docker=Path("/sys/class/net/docker0").exists() or parse.has_chain(chains or (), "DOCKER-USER"),
        ufw_drops=parse.ufw_drops(_text("/etc/ufw/ufw.conf"), _text("/etc/default/ufw")),
        firewalld=parse.has_table(chains or (), "firewalld"),
        read=chains is not None,
    )


def _cgroups(mounts: tuple[parse.MountEntry, ...], *, root: bool) -> facts.Cgroups:
    tree = next((mount for mount in mounts if mount.filesystem == "cgroup2"), None)
    v1 = [mount for mount in mounts if mount.filesystem == "cgroup"]
    controllers = frozenset(name for mount in v1 for name in mount.options & parse.CONTROLLERS)
    if controllers:
        used = [mount for mount in v1 if mount.options & parse.CONTROLLERS]
        return facts.Cgroups(
            version="hybrid" if tree else "v1",
            controllers=controllers,
            read_only=tuple(sorted(mount.folder for mount in used if _read_only(mount, mount.folder, root=root))),
        )
    if tree is None:
        return facts.Cgroups("none", frozenset())
    top = Path(tree.folder)
    return facts.Cgroups(
        version="v2",
        controllers=frozenset(_text(top / "cgroup.controllers").split()),
        enabled=frozenset(_text(top / "cgroup.subtree_control").split()),
        read_only=(tree.folder,) if _read_only(tree, top / "cgroup.subtree_control", root=root) else (),
        # Only a group below the real top has a type.
        crowded=(top / "cgroup.type").exists() and bool(_text(top / "cgroup.procs").strip()),
    )


def _read_only(mount: parse.MountEntry, path: Path | str, *, root: bool) -> bool:
    return "ro" in mount.options or (root and not os.access(path, os.W_OK))


def _memory_limit(mounts: tuple[parse.MountEntry, ...]) -> int | None:
    for mount in mounts:
        if mount.filesystem == "cgroup2":
            value = _text(f"{mount.folder}/memory.max").strip()
        elif mount.filesystem == "cgroup" and "memory" in mount.options:
            value = _text(f"{mount.folder}/memory.limit_in_bytes").strip()
        else:
            continue
        if value.isdigit():
            return int(value)
    return None


def _disk(state: Path, mounts: tuple[parse.MountEntry, ...]) -> facts.StateDisk:
    here = state
    while not here.exists():
        here = here.parent
    room = os.statvfs(here)
    mount = parse.mount_of(str(here.resolve()), mounts)
    return facts.StateDisk(
        folder=str(state),
        filesystem=mount.filesystem if mount else "unknown",
        options=mount.options if mount else frozenset(),
        free=room.f_bavail * room.f_frsize,
    )


def _loops() -> facts.Loops:
    devices = [path for path in Path("/dev").glob("loop[0-9]*") if stat.S_ISBLK(path.stat().st_mode)]
    used = sum(1 for path in devices if Path(f"/sys/block/{path.name}/loop/backing_file").exists())
    return facts.Loops(Path("/dev/loop-control").exists(), len(devices) - used, used)


def _descriptors() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def engine_facts() -> tuple[facts.CachedEngine, ...] | None:
    """The engines in the cache of who asks; None where there is no place for one. Sizes are compared, not digests."""
    # Not needed by the rest of a look, and by far the longest to import.
    from roadstead.engine import cache, catalog, settings

    try:
        chosen = settings.from_environment(os.environ)
        releases = catalog.releases(chosen.catalog, catalog.machine_arch())
    except errors.Invalid:
        return None
    found: dict[tuple[str, str], facts.CachedEngine] = {}
    for release in releases:
        for key in cache.entries(chosen.cache, release):
            engine = facts.CachedEngine(release.engine.name, release.version)
            match cache.see(chosen.cache, key, digests=False):
                case cache.Whole():
                    found[engine.name, engine.version] = engine
                case cache.Broken(reason):
                    found.setdefault((engine.name, engine.version), dataclasses.replace(engine, broken=reason))
                case cache.AbsentEntry():
                    pass
    return tuple(found.values())
