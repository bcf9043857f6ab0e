"""The unit file for machines whose PID 1 is systemd. Pure.

- `Delegate=yes`: the cgroups below the unit's own are ours. `DelegateSubgroup=` (systemd 254; older ones ignore it)
  puts the tree itself into a leaf, since cgroup v2 has no processes in inner nodes.
- `KillMode=process`: only s6-svscan is told to stop; it ends the agent. Hosts are no part of the service's life: they
  survive a stop and a restart of it, as everywhere else.
- `TasksMax`, `LimitNOFILE`: hosts are children of the agent and inherit its limits.
"""

from __future__ import annotations

from pathlib import Path

UNIT = Path("/etc/systemd/system/roadstead.service")


def unit(python: Path, instance_id: str) -> str:
    """The text of roadstead.service. The tree is made again at each start: /run is empty after a boot."""
    return f"""\
[Unit]
Description=Roadstead: Kubernetes clusters on this machine
After=network.target local-fs.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={python} -m roadstead.machine.supervision.boot --instance {instance_id}
Restart=always
RestartSec=1
Delegate=yes
DelegateSubgroup=tree
KillMode=process
TimeoutStopSec=30
TasksMax=infinity
LimitNOFILE=1048576
OOMScoreAdjust=-500
UMask=0022

[Install]
WantedBy=multi-user.target
"""
