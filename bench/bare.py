"""The bare way to what the agent makes: the same hosts by hand with ip, runc and a shell script."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from roadstead import engine

_NAMED = Path("/run/netns")

_ROUTER = """
set -eu
ip netns add "$P-r"
ip -n "$P-r" link set lo up
ip netns exec "$P-r" sh -c "echo 1 > /proc/sys/net/ipv4/ip_forward"
ip netns exec "$P-r" nft -f - <<'RULES'
table inet bare {
  chain pre { type filter hook prerouting priority -300; fib saddr . iif oif missing counter drop; }
}
RULES
"""

_HOST = """
set -eu
N=$1
A=10.77.0.$((N + 4))
ip netns add "$P-$N"
ip link add "$L$N" netns "$P-r" type veth peer name eth0 netns "$P-$N"
ip -n "$P-r" link set "$L$N" up
ip -n "$P-r" address add 169.254.1.1/32 dev "$L$N"
ip -n "$P-r" route add "$A/32" dev "$L$N"
ip -n "$P-$N" link set lo up
ip -n "$P-$N" link set eth0 up
ip -n "$P-$N" address add "$A/32" dev eth0
ip -n "$P-$N" route add 169.254.1.1 dev eth0 scope link
ip -n "$P-$N" route add default via 169.254.1.1
B="$D/$N"
mkdir -p "$B/root/usr" "$B/root/proc" "$B/root/dev" "$B/root/sys" "$B/root/run" "$B/root/tmp" "$B/root/var"
mkdir -p "$B/root/etc" "$B/root/engine" "$B/service/main/log" "$B/service/.s6-svscan"
for link in bin sbin lib lib64; do ln -s "usr/$link" "$B/root/$link"; done
echo 'root:x:0:0::/:/bin/sh' > "$B/root/etc/passwd"
echo "127.0.0.1 localhost h$N" > "$B/root/etc/hosts"
printf '#!/bin/sh\\nexec /engine/pause\\n' > "$B/service/main/run"
printf '#!/bin/sh\\nmkdir -p /run/log; exec s6-log n5 s5242880 T /run/log\\n' > "$B/service/main/log/run"
chmod 755 "$B/service/main/run" "$B/service/main/log/run"
sed -e "s#@B@#$B#g; s#@N@#$N#g; s#@P@#$P#g; s#@ENGINE@#$E#g" "$D/config.json" > "$B/config.json"
runc --root "$D/runc" run -d --bundle "$B" "$P-$N" < /dev/null > /dev/null 2>&1
until s6-svstat "$B/service/main" 2> /dev/null | grep -q '^up'; do sleep 0.005; done
"""


def _config() -> dict[str, object]:
    """A host as small as ours: an unprivileged s6-svscan in its own namespaces."""
    capabilities: list[str] = []
    mounts: list[dict[str, object]] = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
        {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]},
        {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]},
        {"destination": "/engine", "type": "bind", "source": "@ENGINE@", "options": ["rbind", "ro"]},
        {"destination": "/run/service", "type": "bind", "source": "@B@/service", "options": ["rbind"]},
    ]
    return {
        "ociVersion": "1.0.2",
        "hostname": "h@N@",
        "process": {
            "args": ["/usr/bin/s6-svscan", "/run/service"],
            "cwd": "/",
            "env": ["PATH=/usr/bin:/bin"],
            "user": {"uid": 0, "gid": 0},
            "noNewPrivileges": True,
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
        },
        "root": {"path": "@B@/root"},
        "mounts": mounts,
        "linux": {
            "cgroupsPath": "/@P@/h@N@",
            "namespaces": [
                *({"type": kind} for kind in ("pid", "ipc", "uts", "mount")),
                {"type": "network", "path": "/run/netns/@P@-@N@"},
            ],
        },
    }


@contextmanager
def scene(count: int) -> Iterator[Callable[[int], None]]:
    """Gives a function that makes `count` hosts, so many at once; takes everything away afterwards."""
    prefix = f"b{secrets.token_hex(3)}"
    # `ip netns` makes this folder a mount on its first use and leaves it.
    was_there = _NAMED.is_dir()
    binary = engine.get("pause").components["pause"]
    with tempfile.TemporaryDirectory(prefix="roadstead-bare-") as folder:
        (Path(folder) / "config.json").write_text(json.dumps(_config()))
        (Path(folder) / "host.sh").write_text(_HOST)
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "P": prefix,
            "L": f"v{prefix}",
            "D": folder,
            "E": str(binary.parent),
        }

        def make(at_once: int) -> None:
            hosts = f'seq 0 {count - 1} | xargs -P {at_once} -I{{}} sh "$D/host.sh" {{}}'
            subprocess.run(["sh", "-c", _ROUTER + hosts], env=environment, check=True)

        try:
            yield make
        finally:
            _remove(prefix, Path(folder), count, was_there)


def _remove(prefix: str, folder: Path, count: int, was_there: bool) -> None:
    for number in range(count):
        name = f"{prefix}-{number}"
        root = ["runc", "--root", str(folder / "runc")]
        subprocess.run([*root, "delete", "-f", name], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "delete", f"{prefix}-r"], capture_output=True, check=False)
    for group in Path("/sys/fs/cgroup").glob(f"*/{prefix}"):
        group.rmdir()
    shutil.rmtree(folder / "runc", ignore_errors=True)
    if not was_there:
        subprocess.run(["umount", str(_NAMED)], check=True)
        _NAMED.rmdir()
