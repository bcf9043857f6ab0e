"""Desired states of earlier releases, recorded: agents have them on disk, and a serve of one sends them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roadstead.agent import kinds
from roadstead.agent.api import generations
from roadstead.agent.hosts import wanted
from roadstead.agent.kinds import kind as descriptors
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired, earlier, requests
from roadstead.core import errors

KINDS = descriptors.by_name(kinds.KINDS)
CLUSTER: dict[str, dict[str, dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "fixtures/agent-0.1/cluster.json").read_bytes()
)
"""By kind and id, as serve drew a cluster with two nodes: generation and spec, and of a host the digest of what it was
made from, with the user id 1900000007 where it has one of its own."""
EVERY = [(kind, id) for kind, objects in CLUSTER.items() for id in objects]
HOSTS = list(CLUSTER["hosts"])
ROLES = {"control": ("etcd", "api"), "edge": ("edge",), "node": ("node",)}


def kept(kind: str, id: str) -> store.DesiredRecord:
    """As an agent of that release has it on its disk."""
    one = CLUSTER[kind][id]
    return store.understood(kind, id, one["generation"], json.dumps(one["spec"]), False)


def put(kind: str, id: str, spec: object, generation: int) -> requests.Batch:
    raw = msgspec.Raw(msgspec.json.encode(spec))
    return requests.Batch(put={kind: {id: requests.Put(generation=generation, spec=raw)}})


@pytest.mark.parametrize(("kind", "id"), EVERY)
def test_all_that_a_cluster_was_made_from_is_understood(kind: str, id: str) -> None:
    record = kept(kind, id)
    assert record.trouble == ""
    said, meant = CLUSTER[kind][id]["spec"], json.loads(msgspec.json.encode(record.spec))
    if kind == "hosts":
        assert meant.pop("role") in ROLES[said["kind"]]
        assert meant.pop("privilege") == ("privileged" if said["kind"] == "node" else "unprivileged")
        said = {name: value for name, value in said.items() if name != "kind"}
    assert meant == said


@pytest.mark.parametrize("id", HOSTS)
def test_a_host_that_runs_is_what_it_was_made_from(id: str) -> None:
    """Another digest would make it anew."""
    host = kept("hosts", id).spec
    assert isinstance(host, desired.Host)
    assert wanted.digest(host, 0 if host.privilege == "privileged" else 1_900_000_007) == CLUSTER["hosts"][id]["digest"]


def test_a_control_host_is_what_its_id_says() -> None:
    roles = {}
    for id in HOSTS:
        host = kept("hosts", id).spec
        assert isinstance(host, desired.Host)
        roles[id.partition(".")[2][:4]] = host.role
    assert roles == {"etcd": "etcd", "api-": "api", "edge": "edge", "i-53": "node", "i-d5": "node"}


@pytest.mark.parametrize(("kind", "id"), EVERY)
def test_the_same_in_the_words_of_another_release_is_no_change(kind: str, id: str) -> None:
    """The serve of either release repeats a call that the agent has answered before or after its own update."""
    old = kept(kind, id)
    (new,), _ = generations.decide(KINDS, {}, put(kind, id, old.spec, old.generation))
    assert new.spec == old.spec
    for here in (old, new):
        for words in (CLUSTER[kind][id]["spec"], old.spec):
            changed, (answer,) = generations.decide(KINDS, {here.key: here}, put(kind, id, words, here.generation))
            assert (changed, answer.outcome) == ([], "unchanged")
            changed, (answer,) = generations.decide(KINDS, {here.key: here}, put(kind, id, words, here.generation + 1))
            assert (len(changed), answer.outcome) == (1, "unchanged")


@pytest.mark.parametrize(
    "more", [{"kind": "moon"}, {"kind": "node", "role": "edge"}, {"kind": "node", "colour": 1}, {}]
)
def test_what_no_release_wrote_is_refused(more: dict[str, object]) -> None:
    host = {name: value for name, value in CLUSTER["hosts"][HOSTS[0]]["spec"].items() if name != "kind"}
    with pytest.raises(errors.Invalid, match=r"hosts/h: .*(unknown field|missing required field)"):
        generations.decide(KINDS, {}, put("hosts", "h", {**host, **more}, 1))


def test_other_messages_are_read_as_they_are() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `kind`"):
        earlier.read(desired.Zone, "a", '{"state": "up", "kind": "node"}')
    with pytest.raises(msgspec.DecodeError):
        earlier.read(desired.Host, "h", '{"kind": "node"')
