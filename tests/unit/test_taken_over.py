"""serve as somebody who has taken it over would have it: what the agent refuses to do for its user.

What is in the list was once done, or would have been. Each begins with what is accepted, so that only the one thing
that is wrong is what is refused.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from roadstead.agent import kinds
from roadstead.agent.api import admission
from roadstead.agent.kinds import bounds, kind
from roadstead.agent.records import blobs, register
from roadstead.agent.records import desired as store
from roadstead.contract.messages import requests
from roadstead.core import errors

SERVE, PORTER = 64001, 64002
KINDS = kind.by_name(kinds.KINDS)
ALLOWED = bounds.Bounds(
    users=frozenset({SERVE}), passed=frozenset({PORTER}), addresses=frozenset({"127.0.0.1", "192.0.2.7"})
)

Spec = dict[str, object]
Specs = Mapping[str, Mapping[str, Spec]]


def network(cidr: str = "198.19.0.0/26", *users: int) -> Spec:
    subnet = {"id": "s", "cidr": cidr, "zone": "a"}
    return {"cidrs": [cidr], "subnets": [subnet], "machine_users": users or [SERVE]}


def host(**more: object) -> Spec:
    return {
        "role": "node",
        "privilege": "privileged",
        "zone": "a",
        "legs": [{"network": "net", "address": "198.19.0.4"}],
        "hostname": "h",
        **more,
    }


def unit(**more: object) -> Spec:
    return {"engine": "system", "component": "haproxy", **more}


def https(path: str) -> Spec:
    return {"type": "https", "port": 1, "path": path, "ca": "ca"}


def publish(**more: object) -> Spec:
    return {"address": "127.0.0.1", "port": 16443, "network": "net", "target": "198.19.0.4", "target_port": 443, **more}


def listener(**more: object) -> Spec:
    return {"namespace": "network", "of": "net", "address": "198.19.0.2", "port": 53, "process": "porter"} | {
        "user": PORTER,
        **more,
    }


GOOD: Specs = {
    "networks": {"net": network(), "vpc": {**network("10.0.0.0/26"), "machine_users": []}},
    "hosts": {"h": host()},
    "units": {"h/u": unit()},
    "publishes": {"p": publish(), "q": publish(address="192.0.2.7")},
    "listeners": {"l": listener()},
}


def with_one(kind: str, id: str, spec: Spec) -> Specs:
    return {**GOOD, kind: {**GOOD[kind], id: spec}}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[admission.Admission]:
    records = store.DesiredStore(tmp_path / "desired.db")
    yield opened(tmp_path, records)
    records.close()


def opened(folder: Path, records: store.DesiredStore, allowed: bounds.Bounds = ALLOWED) -> admission.Admission:
    """The cache of the engines is in `cache`, and whoever runs the tests writes there."""
    known = register.Register(records, folder / "cache", frozenset({os.getuid()}))
    kept = blobs.Blobs(folder / "blobs")
    return admission.Admission(KINDS, records, kept, ("haproxy",), lambda _: None, allowed, known)


def asked(door: admission.Admission, specs: Specs, user: int = SERVE, generation: int = 1) -> None:
    """Asks for a batch as it comes over the socket."""
    put = {
        kind: {id: {"generation": generation, "spec": spec} for id, spec in some.items()}
        for kind, some in specs.items()
    }
    batch = msgspec.json.decode(json.dumps({"put": put}), type=requests.Batch)
    asyncio.run(door.accept(batch, user))


def test_what_serve_asks_for_is_accepted(door: admission.Admission) -> None:
    asked(door, GOOD)


ROUTES = [
    ("the routes of the machine", network("0.0.0.0/1"), "198.19.0.0/16 alone, not to 0.0.0.0/1"),
    ("a network beside the machine", network("192.168.1.0/24"), "198.19.0.0/16 alone"),
    ("more than the range", network("198.18.0.0/15"), "198.19.0.0/16 alone"),
    ("root into a network", network("198.19.1.0/26", 0), "user id 0 is not whom this is for"),
    ("somebody into a network", network("198.19.1.0/26", SERVE, 1000), "user id 1000 is not whom this is for"),
    ("porter into a network", network("198.19.1.0/26", PORTER), f"user id {PORTER} is not whom this is for"),
]
PORTS = [
    ("the port of another server", publish(port=22), "16443 to 20538 are published, not 22"),
    ("the API of AWS", publish(port=4566), "16443 to 20538 are published"),
    ("all addresses", publish(address="0.0.0.0", port=20000), "127.0.0.1, 192.0.2.7 alone, not on 0.0.0.0"),
    ("an address of the world", publish(address="8.8.8.8", port=20000), "alone, not on 8.8.8.8"),
]
SOCKETS = [
    ("a web server", listener(namespace="machine", of=None, address="0.0.0.0", port=80), "on ports none, not 80"),
    ("a high port", listener(namespace="machine", of=None, address="127.0.0.1", port=18080), "on ports none"),
    ("for somebody", listener(user=1000), "user id 1000 is not whom this is for"),
    ("porter's", listener(user=SERVE), f"user id {SERVE} is not whom this is for"),
    ("for root", listener(user=0), "unprivileged users only"),
]
UNITS = [
    ("a program of the machine", unit(component="bash"), "programs of the machine: haproxy"),
    ("a path as a program", unit(component="../../bin/sh"), "component"),
    ("a line more in a script", unit(component="haproxy\n"), "component"),
    ("a line more in a name", unit(files={"a\n": {"content": "x"}}), "files"),
    ("a file elsewhere", unit(files={"../../run": {"content": "x"}}), "files"),
    ("a folder elsewhere", unit(folders=["../.."]), "folders"),
    ("a folder with a line more", unit(folders=["data\n"]), "folders"),
    ("an environment from elsewhere", unit(environment_file="../../../shadow"), "environment_file"),
    ("a subcommand with words", unit(subcommand="x; reboot"), "subcommand"),
    ("a flag with a line more", unit(flags={"f": "x\n"}), "flags"),
    ("a second request", unit(files={"ca": {"content": ""}}, ready=https("/ HTTP/1.1\r\nX: y")), "no path of a URL"),
    ("a stop for ever", unit(stop_timeout=1e300), "a stop takes 0 to 3600 s"),
    ("a descriptor of s6's own", unit(ready={"type": "notify", "descriptor": 1}), "use 3 to 9"),
]
HOSTS = [
    ("a line more in /etc/hosts", host(names={"198.19.0.5": ["a\n127.0.0.1 b"]}), "names"),
    ("a line more in its name", host(hostname="h\n"), "hostname"),
    ("an address with a line more", host(resolvers=["198.19.0.2\n"]), "resolvers"),
    ("a disk without an end", host(disk={"kind": "ext4", "size": 0}), "size"),
]
NAMES = [
    ("networks", "../net", "an id of .* is one word"),
    ("networks", "net\n", "an id is of a-z"),
    ("hosts", "..", "an id is of a-z"),
    ("units", "h/..", "an id is of a-z"),
    ("units", "h/u/v", "one of the hosts, '/', and its own word"),
    ("engines", "system", "stands for programs of the machine"),
]
WRONG = [
    *(("networks", "n", *case) for case in ROUTES),
    *(("publishes", "x", *case) for case in PORTS),
    *(("listeners", "x", *case) for case in SOCKETS),
    *(("units", "h/x", *case) for case in UNITS),
    *(("hosts", "h", *case) for case in HOSTS),
]


@pytest.mark.parametrize(("kind", "id", "what", "spec", "words"), WRONG, ids=[case[2] for case in WRONG])
def test_what_reaches_out_of_a_host_is_refused(
    door: admission.Admission, kind: str, id: str, what: str, spec: Spec, words: str
) -> None:
    with pytest.raises(errors.Invalid) as refused:
        asked(door, with_one(kind, id, spec))
    assert words in refused.value.message, what
    # The whole batch, and with it what would have been fine.
    asked(door, GOOD)


@pytest.mark.parametrize(("kind", "id", "words"), NAMES)
def test_a_name_is_no_path(door: admission.Admission, kind: str, id: str, words: str) -> None:
    spec: Spec = {"components": {}} if kind == "engines" else GOOD[kind][next(iter(GOOD[kind]))]
    with pytest.raises(errors.Invalid, match=words):
        asked(door, {**GOOD, kind: {**GOOD.get(kind, {}), id: spec}})


def test_a_change_is_judged_as_what_is_new(door: admission.Admission) -> None:
    asked(door, GOOD)
    with pytest.raises(errors.Invalid, match=r"not on 0\.0\.0\.0"):
        asked(door, with_one("publishes", "p", publish(address="0.0.0.0")), generation=2)


def test_what_root_asked_for_is_left_alone_and_not_for_others_to_have(door: admission.Admission) -> None:
    by_root = {"publishes": {"web": publish(port=80)}}
    asked(door, GOOD)
    asked(door, by_root, user=0)
    asked(door, {"publishes": {"another": publish(port=16500)}})
    with pytest.raises(errors.Invalid, match="not 80"):
        asked(door, {"publishes": {"web": publish(port=80, target="198.19.0.3")}}, generation=2)


def test_bounds_are_roots_to_move(tmp_path: Path) -> None:
    records = store.DesiredStore(tmp_path / "desired.db")
    wide = bounds.Bounds(
        users=ALLOWED.users,
        passed=ALLOWED.passed,
        networks=("10.0.0.0/8",),
        ports=range(30000, 30010),
        listeners=frozenset({8080}),
    )
    door = opened(tmp_path, records, wide)
    try:
        with pytest.raises(errors.Invalid, match=r"10\.0\.0\.0/8 alone, not to 198\.19\.0\.0/26"):
            asked(door, GOOD)
        asked(door, {"networks": {"net": network("10.1.0.0/26")}})
        asked(door, {"listeners": {"x": listener(namespace="machine", of=None, address="0.0.0.0", port=8080)}})
    finally:
        records.close()
