"""Clients of a cluster's API server that write and read all the time, or are idle, and what they say of its faults.

One is outside, at the published endpoint; two are in pods of different zones, at the `kubernetes` Service. Each runs
`visitor steady` (its module is beside this file): a line for every acknowledged request, failed one, or loss. Beside
them are the sessions of `idle`.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from testkit import waiting
from tests.live import bundle, idle, shared

ACCOUNT = "steady"
TOKEN = "outside.token"
BOUND = 3.0
"""Seconds without a success, at most."""
LATER = 2.0
"""Seconds after a stall in which it may still end a session."""

Did = Literal["write", "read", "fault", "lost"]


@dataclass(frozen=True)
class Said:
    """`at`: seconds since 1970, when the answer was there."""

    at: float
    did: Did
    count: int
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one client saw of a fault, in seconds and requests."""

    write: float
    read: float
    faults: int
    lost: tuple[Said, ...]

    def __str__(self) -> str:
        return f"{self.write:.2f} / {self.read:.2f} ({self.faults})"


def read(text: str) -> list[Said]:
    """Lines of `visitor`, also as a container's log has them. The last may be half there."""
    found = []
    for line in text.splitlines():
        said = re.search(r"\{.*\}$", line)
        if said is not None:
            one = json.loads(said[0])
            found.append(Said(one["at"] / 1e9, one["did"], one["count"], one.get("error", "")))
    return sorted(found, key=_at)


def _at(one: Said) -> float:
    return one.at


@dataclass
class Log:
    """What one client says, in files that only grow: each line is read once. `said` is in the order of time."""

    said: list[Said] = field(default_factory=list)
    _ends: dict[int, int] = field(default_factory=dict)
    """How far each file was read, by its inode: it keeps that where it is renamed, and where its node is made again."""

    def look(self, files: Iterable[Path]) -> None:
        for file in files:
            with file.open("rb") as text:
                id = os.fstat(text.fileno()).st_ino
                text.seek(self._ends.get(id, 0))
                new = text.read()
            # The last line may be half there.
            whole = new[: new.rfind(b"\n") + 1]
            self._ends[id] = self._ends.get(id, 0) + len(whole)
            self.said += read(whole.decode())
        self.said.sort(key=_at)

    def since(self, moment: float) -> list[Said]:
        return self.said[bisect.bisect_left(self.said, moment, key=_at) :]


def gap(said: Sequence[Said], did: Did, since: float, until: float) -> float:
    """The longest time without a success of that kind between the two; its start is the last success before."""
    times = [one.at for one in said if one.did == did]
    before = max((at for at in times if at <= since), default=since)
    inside = [at for at in times if since < at <= until]
    return max(later - earlier for earlier, later in itertools.pairwise([before, *inside, until]))


def goes_on(said: Sequence[Said], after: float) -> float | None:
    """When both a write and a read were acknowledged after that moment; None: they were not yet."""
    first = [next((one.at for one in said if one.did == did and one.at > after), None) for did in ("write", "read")]
    both = [at for at in first if at is not None]
    return max(both) if len(both) == len(first) else None


def outcome(said: Sequence[Said], since: float, until: float) -> Outcome:
    inside = [one for one in said if since <= one.at <= until]
    return Outcome(
        gap(said, "write", since, until),
        gap(said, "read", since, until),
        sum(one.did == "fault" for one in inside),
        tuple(one for one in inside if one.did == "lost"),
    )


@dataclass
class Clients:
    """All of them; `zones` has the zone of each that is in one."""

    cluster: shared.Cluster
    process: subprocess.Popen[str]
    zones: Mapping[str, str]
    hosts: Mapping[str, str]
    """Of those in pods."""
    idle: idle.Sessions
    table: dict[str, dict[str, Outcome | str]] = field(default_factory=dict)
    logs: dict[str, Log] = field(default_factory=dict)
    workloads: bundle.Bundle | None = None
    """What is to be well, too, after each fault."""

    def said(self, since: float = 0.0) -> dict[str, list[Said]]:
        """Of each, from that moment on."""
        files = {"outside": [self.cluster.service.folder / "outside.log"]}
        for name, host in self.hosts.items():
            disk = self.cluster.service.agent.places.host(host).disk
            # Rotated ones, too, but what is packed was read long ago.
            found = disk.glob(f"log/pods/default_{name}_*/main/*.log*")
            files[name] = [file for file in found if file.suffix != ".gz"]
        for name, logs in files.items():
            self.logs.setdefault(name, Log()).look(logs)
        return {name: self.logs[name].since(since) for name in files}

    def _go_on(self, since: float) -> None:
        """Until each has had a write and a read since then."""

        def all_do() -> bool:
            return all(
                {"write", "read"} <= {one.did for one in said if one.at > since} for said in self.said(since).values()
            )

        waiting.until("every client writes and reads", all_do, shared.WELL)

    @contextlib.contextmanager
    def meanwhile(
        self, fault: str, *, zone: str = "", bound: float = BOUND, keeps_sessions: bool = False
    ) -> Iterator[None]:
        """A fault, and its end: all is well before and after it, nothing acknowledged is lost, no gap over the bound.

        Clients in the zone that is cut off are not asked: their node is.
        """
        self.cluster.until_well()
        admit(self.cluster)
        self.idle.renew()
        # One that was cut off by the fault before may be back later than its node: that gap is not of this fault.
        self._go_on(time.time())
        since = time.time()
        yield
        over = time.time()
        recovered = self.cluster.until_well()
        if self.workloads is not None:
            print(f"\n{fault}: what charts bring was well {self.workloads.until_well():.1f} s after that")
        if keeps_sessions:
            # A proxy that takes a server for dead says nothing where it does not: it would have by then.
            time.sleep(max(0.0, over + LATER - time.time()))
        until = time.time()
        ended = [one.kind for one in self.idle.ended()]
        asked = [name for name in ("outside", *self.zones) if not zone or self.zones.get(name) != zone]
        seen: dict[str, Outcome] = {}

        def settled() -> bool:
            said = self.said(since - BOUND)
            ends = {name: goes_on(said[name], until) for name in asked}
            # A gap that goes on when all is well again is measured to its end.
            seen.update({name: outcome(said[name], since, end) for name, end in ends.items() if end is not None})
            return None not in ends.values()

        waiting.until("every client goes on", settled, 10)
        self.table[fault] = {**seen, "idle sessions ended": f"{len(ended)} of {len(self.idle.running)}"}
        shown = ", ".join(f"{name} {one}" for name, one in seen.items())
        print(f"\n{fault}: longest gap of writes / reads in s (failed requests): {shown}; well {recovered:.1f} s later")
        print(f"idle sessions ended: {', '.join(ended) or 'none'}")
        assert not [one for each in seen.values() for one in each.lost]
        late = {name: str(one) for name, one in seen.items() if max(one.write, one.read) > bound}
        assert not late, f"more than {bound:g} s without a success: {late}"
        if keeps_sessions:
            assert not ended, f"sessions were ended: {ended}"
            self.idle.prove()


@contextlib.contextmanager
def running(cluster: shared.Cluster) -> Iterator[Clients]:
    """Until the end. What they were and had in the cluster goes with them."""
    nodes = {node["metadata"]["labels"]["topology.kubernetes.io/zone"][-1]: node for node in cluster.nodes().values()}
    chosen = {f"inside-{letter}": nodes[letter] for letter in "ab"}
    objects = [*_rights(), *(_config_map(name) for name in ("outside", *chosen))]
    cluster.apply(*objects)
    pods = [_pod(name, node["metadata"]["name"]) for name, node in chosen.items()]
    log = cluster.service.folder / "outside.log"
    folder = cluster.service.folder
    admit(cluster)
    command = (str(cluster.visitor), "steady", f"--server={cluster.described['endpoint']}", "--name=outside")
    with log.open("w") as out:
        process = cluster.service.popen(
            *command, f"--ca={folder / 'ca.pem'}", f"--token={folder / TOKEN}", stdout=out, stderr=out
        )
    try:
        cluster.apply(*pods)
        with idle.running(cluster, nodes["a"]["metadata"]["name"], {"test": ACCOUNT}) as sessions:
            zones = {name: name[-1] for name in chosen}
            hosts = {name: cluster.host_of(node) for name, node in chosen.items()}
            clients = Clients(cluster, process, zones, hosts, sessions)
            waiting.until("every client writes", lambda: _all_write(clients), 30)
            yield clients
    finally:
        process.kill()
        process.wait(10)
        for kind in ("pods", "configmaps", "rolebindings", "roles", "serviceaccounts"):
            cluster.try_kubectl("delete", kind, "-l", f"test={ACCOUNT}", "--grace-period=0", "--force", "--wait=false")


def admit(cluster: shared.Cluster) -> None:
    """A token that is good for the next minutes, for the client outside."""
    fresh = cluster.service.folder / f".{TOKEN}"
    fresh.write_text(cluster.service.token(shared.NAME))
    fresh.rename(cluster.service.folder / TOKEN)


def _all_write(clients: Clients) -> bool:
    return all(any(one.did == "write" for one in said) for said in clients.said().values())


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "labels": {"test": ACCOUNT}}


def _config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named(name), "data": {"count": "0"}}


def _rights() -> list[dict[str, Any]]:
    rbac = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"]}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default"}
    role = {"apiGroup": rbac, "kind": "Role", "name": ACCOUNT}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(ACCOUNT)},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": _named(ACCOUNT), "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": _named(ACCOUNT),
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def _pod(name: str, node: str) -> dict[str, Any]:
    """It stays where it is, whatever becomes of its node."""
    server = "https://$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT)"
    container = {
        "name": "main",
        "image": shared.IMAGE,
        "command": ["/bin/visitor", "steady", f"--server={server}", f"--name={name}"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _named(name),
        "spec": {
            "nodeName": node,
            "serviceAccountName": ACCOUNT,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
        },
    }
