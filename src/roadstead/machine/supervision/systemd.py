"""The unit files for machines whose PID 1 is systemd. Pure.

roadstead.service is the tree. Its cgroup holds Roadstead's own services and nothing else.
- `KillMode=process`: only s6-svscan is told to stop; it ends the agent. Hosts are no part of the service's life: they
  survive a stop and a restart of it, as everywhere else.
- `LimitNOFILE`: hosts are children of the agent and inherit its limits.

roadstead-hosts.service is the cgroup that hosts run in, and a process that does nothing but keep it. Hosts cannot be in
the cgroup of the tree: on cgroup v2 systemd starts a service in the service's own cgroup, which must not have children
with controllers then, so that no restart would succeed while hosts run. (`DelegateSubgroup=` would help, from systemd
254 on; Debian 12, Ubuntu 22.04 and RHEL 9 have older ones.)
- `Delegate=yes`: the cgroups below the unit's own are ours. The process leaves for one of them, since a cgroup whose
  children have controllers may hold no process itself.
- `Restart=no`: for the same reason it cannot be started again beside hosts, and need not be: a cgroup with hosts stays.
- `OOMPolicy=continue`: that one pod takes too much memory is no end of a unit.
Sources: systemd.resource-control(5), systemd.kill(5), systemd's CGROUP_DELEGATION, cgroup-v2 of the kernel's documents.
"""

from __future__ import annotations

from pathlib import Path

from roadstead.core import instance

FOLDER = Path("/etc/systemd/system")
UNIT = FOLDER / "roadstead.service"
HOSTS = FOLDER / instance.HOSTS_SERVICE

_KEEP = (
    "own=/sys/fs/cgroup$$(sed -n s/^0:://p /proc/self/cgroup); "
    "if [ -e $$own/cgroup.controllers ]; then mkdir -p $$own/keeper && echo $$$$ >$$own/keeper/cgroup.procs; fi; "
    "exec sleep infinity"
)
"""systemd makes one `$` of two."""


def files(python: Path, instance_id: str) -> dict[Path, str]:
    """All unit files and their texts."""
    return {HOSTS: hosts(), UNIT: unit(python, instance_id)}


def unit(python: Path, instance_id: str) -> str:
    """The text of roadstead.service. The tree is made again at each start: /run is empty after a boot."""
    return f"""\
[Unit]
Description=Roadstead: Kubernetes clusters on this machine
Wants={HOSTS.name}
After=network.target local-fs.target {HOSTS.name}
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={python} -m roadstead.machine.supervision.boot --instance {instance_id}
Restart=always
RestartSec=1
KillMode=process
TimeoutStopSec=30
TasksMax=infinity
LimitNOFILE=1048576
OOMPolicy=continue
OOMScoreAdjust=-500
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def hosts() -> str:
    """The text of roadstead-hosts.service: the same for every release, since it is not started again for a new one."""
    return f"""\
[Unit]
Description=Roadstead: the hosts of clusters

[Service]
Type=exec
ExecStart=/bin/sh -c '{_KEEP}'
Restart=no
Delegate=yes
KillMode=process
TasksMax=infinity
OOMPolicy=continue
"""
