"""What a pod may try against its machine and whoever else is on it, as a script that says what worked.

The pod has its node's whole root by `hostPath`, and goes there for the node's programs.
"""

from __future__ import annotations

from typing import Any

OWN = {
    "its node's files": "touch /var/tmp/own && rm /var/tmp/own",
    "what its node's processes see": "ls -d /proc/self/root/etc",
}
"""What works: that nothing else does is no proof without."""

OTHERS = {
    "the engines that all nodes run": "mount -o remount,bind,rw /engine; touch /engine/taken",
    "the engines by another mount": "mkdir -p /var/m; mount --bind /engine /var/m && "
    "{ mount -o remount,bind,rw /var/m; touch /var/m/taken; }",
    "the images that all nodes run": "mount -o remount,bind,rw /stores; touch /stores/taken",
    "the machine's programs": "mount -o remount,rw /usr; mount -o remount,bind,rw /usr; touch /usr/bin/taken",
    "a disk by a device of its own": "mknod /var/tmp/disk b 7 0 && head -c 512 /var/tmp/disk",
    "memory by a device of its own": "mknod /var/tmp/mem c 1 1",
    "a disk by its cgroup": "echo a >/sys/fs/cgroup/devices/devices.allow",
    "more than its share": "cd /sys/fs/cgroup; if [ -d memory ]; then echo -1 >memory/memory.limit_in_bytes; "
    "else echo max >memory.max; fi",
    # What is there is written again, so that the test itself changes nothing where this works.
    "settings in /sys": 'f=/sys/kernel/mm/transparent_hugepage/use_zero_page; v=$(cat $f) && echo "$v" >$f',
    "settings in /proc/sys": 'f=/proc/sys/fs/file-max; v=$(cat $f) && echo "$v" >$f',
    "settings in another /proc": "mkdir -p /var/p; mount -t proc proc /var/p; f=/var/p/sys/fs/file-max; v=$(cat $f) && "
    'echo "$v" >$f',
    "settings in another /sys": "mkdir -p /var/s; mount -t sysfs sysfs /var/s; "
    'f=/var/s/kernel/mm/transparent_hugepage/use_zero_page; v=$(cat $f) && echo "$v" >$f',
    "keys of the machine's keyboard": "echo h >/proc/sysrq-trigger",
    "the machine's clock": 'date -s "@$(date +%s)"',
}


def script() -> str:
    """Prints a line `got NAME` for all that worked, and `that is all`."""
    tried = {**OWN, **OTHERS}.items()
    lines = [f'if ( {what} ) >/dev/null 2>&1; then echo "got {name}"; fi' for name, what in tried]
    return "\n".join((*lines, "echo that is all"))


def pod(name: str, node: str, image: str, *, privileged: bool) -> dict[str, Any]:
    """A pod that waits to be told what to try."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", "exec /bin/sleep 1000000"],
        "volumeMounts": [{"name": "node", "mountPath": "/node"}],
        "securityContext": {"privileged": privileged},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "hostPID": True,
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "node", "hostPath": {"path": "/"}}],
            "containers": [container],
        },
    }
