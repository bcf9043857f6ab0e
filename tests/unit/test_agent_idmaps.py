"""Which ids nodes get on the machine, and where it is told that they cannot."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.agent.idmaps import ability, ranges
from roadstead.agent.kinds import hosts, kind
from roadstead.agent.records import desired as store
from roadstead.agent.records import host_ids
from roadstead.contract.messages import desired
from roadstead.core import errors


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=32), st.integers(0, 511))
def test_ranges_are_apart_and_nobody_elses(instance: str, others: int) -> None:
    first = ranges.free(instance, ())
    assert first is not None
    taken = [first.first + ranges.SIZE * number for number in range(others)]
    found = ranges.free(instance, taken)
    assert found is not None
    assert found.first == first.first + ranges.SIZE * others
    # Above all that distributions and systemd give away, below the ids that are none.
    assert found.first >= 1 << 31
    assert found.first + found.size < (1 << 32) - 2
    assert found.line == f"0 {found.first} 65536\n"


def test_there_is_an_end_of_them() -> None:
    first = ranges.free("main", ())
    assert first is not None
    assert ranges.free("main", [first.first + ranges.SIZE * number for number in range(512)]) is None


@pytest.mark.parametrize(
    ("kernel", "runc", "why"),
    [
        ("5.15.0-91-generic", "runc version 1.5.3", "Linux 5.15.0-91-generic is older than 5.19"),
        ("6.12.57+deb13-amd64", "", "runc says no version, and 1.2 is needed"),
        ("6.12.57+deb13-amd64", "runc version 1.1.5+ds1\ncommit: x", "runc version 1.1.5+ds1, and 1.2 is needed"),
        ("6.12.57+deb13-amd64", "runc version 1.1.15", "runc version 1.1.15, and 1.2 is needed"),
        ("6.12.57+deb13-amd64", "runc version 1.10.0", None),
        ("5.19.0", "runc version 1.2.0\nspec: 1.2.0", None),
    ],
)
def test_what_is_too_old_is_named(kernel: str, runc: str, why: str | None) -> None:
    assert ability.too_old(kernel, runc) == why


@pytest.mark.parametrize(
    ("number", "most", "expected"),
    [
        (errno.ENOSPC, "96365\n", True),
        (errno.ENOSPC, "0\n", False),
        (errno.ENOMEM, "0\n", True),
        (errno.EMFILE, "", True),
        (errno.EPERM, "96365\n", False),
        (errno.EINVAL, "96365\n", False),
        (None, "96365\n", False),
    ],
)
def test_what_is_used_up_just_now_is_no_lack(number: int | None, most: str, expected: bool) -> None:
    assert ability.passes(number, most) is expected


_TRIED = """
import pathlib, subprocess, sys
from roadstead.agent.idmaps import ability
from roadstead.core import errors
most = pathlib.Path("/proc/sys/user/max_user_namespaces")
most.write_text("1")
with subprocess.Popen(["unshare", "--user", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as only:
    only.stdin.write(b"\\n")
    only.stdin.flush()
    only.stdout.read(1)
    try:
        print(ability.lacks("runc version 1.2.0", ()))
    except errors.Busy as error:
        print("Busy:", error)
    only.stdin.close()
most.write_text("0")
print(ability.lacks("runc version 1.2.0", ()))
"""


def test_nodes_are_not_made_without_because_pods_have_all_user_namespaces() -> None:
    """In a user namespace that may have one more, and then none."""
    inside = ("unshare", "--user", "--map-root-user")
    bounded = (*inside, "sh", "-c", "echo 1 >/proc/sys/user/max_user_namespaces")
    if subprocess.run(bounded, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may make no user namespace here, or not say how many")
    done = subprocess.run((*inside, sys.executable, "-c", _TRIED), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    used_up, forbidden = done.stdout.splitlines()
    assert used_up.startswith("Busy: whether nodes can have users of their own cannot be tried now")
    assert forbidden.startswith("no user namespace can be made")


def test_an_instance_whose_nodes_had_users_of_their_own_makes_none_without_unless_root_says_so(tmp_path: Path) -> None:
    """What they need may be taken away by those who want a node with the machine's."""
    records = store.DesiredStore(tmp_path / "desired.db")
    why: list[str | None] = ["runc 1.1.5, and 1.2 is needed"]

    async def lacks() -> str | None:
        return why[0]

    room = SimpleNamespace(has_disk=lambda _: False, lacks_for_users=lacks, node_users="own")
    ids = host_ids.HostIds(records)
    now: Any = SimpleNamespace(ids=ids, hosts=room, instance=SimpleNamespace(id="main"))
    leg = desired.Leg(network="net", address="10.0.0.4")
    node = desired.Host(role="node", privilege="privileged", zone="a", legs=(leg,), hostname="n")
    assert asyncio.run(hosts.ids_of(now, "n1", node)) is None
    why[0] = None
    assert asyncio.run(hosts.ids_of(now, "n2", node)) == ids.range("n2")
    ids.forget("n2")
    why[0] = "runc 1.1.5, and 1.2 is needed"
    with pytest.raises(errors.Failed, match=r"now they cannot: runc 1\.1\.5, .*`roadstead start --node-users machine`"):
        asyncio.run(hosts.ids_of(now, "n3", node))
    room.node_users = "machine"
    assert asyncio.run(hosts.ids_of(now, "n3", node)) is None
    records.close()


def test_the_runc_that_nodes_are_made_by_is_waited_for() -> None:
    phases: dict[str, str] = {"runc-1.5": "pending", "etcd-3.6": "pending"}

    def engine(id: str) -> store.DesiredRecord:
        return store.DesiredRecord("engines", id, 1, "", spec=desired.Engine(components={}))

    now: Any = SimpleNamespace(wanted=lambda: kind.Wanted(map(engine, phases)), phase=lambda _kind, id: phases.get(id))
    assert hosts.runc_to_come(now) == "runc-1.5"
    phases["runc-1.5"] = "ready"
    assert hosts.runc_to_come(now) is None
    del phases["runc-1.5"]
    assert hosts.runc_to_come(now) is None, "where there is none the machine's own does"
