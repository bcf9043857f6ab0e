"""Generations: the agent never goes back, never forgets, and says why it refuses."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.agent import kinds
from roadstead.agent.api import generations
from roadstead.agent.kinds import kind as descriptors
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired, requests
from roadstead.core import errors

KINDS = descriptors.by_name(kinds.KINDS)
ZONE = desired.Zone(state="up")


def put(generation: int, state: str = "up") -> requests.Put:
    return requests.Put(generation=generation, spec=msgspec.Raw(msgspec.json.encode({"state": state})))


def record(generation: int, state: str = "up", deleting: bool = False) -> store.DesiredRecord:
    return store.understood("zones", "a", generation, f'{{"state":"{state}"}}', deleting)


def decide(before: store.DesiredRecord | None, batch: requests.Batch) -> tuple[list[store.DesiredRecord], str]:
    records = {} if before is None else {before.key: before}
    changed, accepted = generations.decide(KINDS, records, batch)
    return changed, accepted[0].outcome


@pytest.mark.parametrize(
    ("before", "generation", "state", "outcome", "kept"),
    [
        (None, 1, "up", "created", 1),
        (record(1), 2, "black", "changed", 1),
        (record(1), 2, "up", "unchanged", 1),
        (record(2), 2, "up", "unchanged", 0),
    ],
)
def test_puts_that_are_accepted(
    before: store.DesiredRecord | None, generation: int, state: str, outcome: str, kept: int
) -> None:
    changed, seen = decide(before, requests.Batch(put={"zones": {"a": put(generation, state)}}))
    assert (seen, len(changed)) == (outcome, kept)
    if kept:
        assert changed[0].generation == generation


@pytest.mark.parametrize(
    ("before", "generation", "state", "words"),
    [
        (record(3), 2, "up", "older than 3"),
        (record(3), 3, "black", "another content"),
        (record(3, deleting=True), 4, "up", "being deleted"),
    ],
)
def test_puts_that_are_refused(before: store.DesiredRecord, generation: int, state: str, words: str) -> None:
    with pytest.raises(errors.Conflict, match=words):
        decide(before, requests.Batch(put={"zones": {"a": put(generation, state)}}))


def test_a_host_of_one_kind_never_becomes_one_of_another() -> None:
    def host(role: str, privilege: str = "unprivileged") -> bytes:
        leg = {"network": "net", "address": "10.0.0.4"}
        said = {"role": role, "privilege": privilege, "zone": "a", "legs": [leg], "hostname": "h"}
        return msgspec.json.encode(said)

    before = store.understood("hosts", "h", 1, host("api").decode(), False)
    assert before.spec is not None
    for other, words in (
        (host("node", "privileged"), "is unprivileged and does not become privileged"),
        (host("edge"), "is a host of api and does not become one of edge"),
    ):
        put_ = requests.Put(generation=2, spec=msgspec.Raw(other))
        with pytest.raises(errors.Conflict, match=words):
            decide(before, requests.Batch(put={"hosts": {"h": put_}}))
    again = requests.Put(generation=2, spec=msgspec.Raw(host("api")))
    assert decide(before, requests.Batch(put={"hosts": {"h": again}}))[1] == "unchanged"


def test_equal_specs_written_differently_are_the_same_content() -> None:
    raw = msgspec.Raw(
        b'{ "names": {}, "legs": [], "hostname":"h", "zone":"a",  "role":"node","privilege":"privileged"}'
    )
    first, _ = generations.decide(KINDS, {}, requests.Batch(put={"hosts": {"h": requests.Put(generation=1, spec=raw)}}))
    other = msgspec.Raw(b'{"privilege":"privileged","role":"node","zone":"a","legs":[],"hostname":"h"}')
    again = requests.Batch(put={"hosts": {"h": requests.Put(generation=1, spec=other)}})
    changed, accepted = generations.decide(KINDS, {first[0].key: first[0]}, again)
    assert changed == []
    assert accepted[0].outcome == "unchanged"


def test_delete_keeps_the_record_marked_and_is_idempotent() -> None:
    batch = requests.Batch(delete={"zones": {"a": requests.Delete(generation=5)}})
    assert decide(None, batch) == ([], "absent")
    changed, outcome = decide(record(4), batch)
    assert outcome == "deleting"
    assert changed[0].deleting
    assert changed[0].spec == ZONE
    with pytest.raises(errors.Conflict, match="older"):
        decide(record(6), batch)


@pytest.mark.parametrize(
    ("kind", "id", "spec", "words"),
    [
        ("zones", "a", {"state": "up", "colour": 1}, "unknown field `colour`"),
        ("zones", "a", {"state": "grey"}, r"\$.state"),
        (
            "hosts",
            "h",
            {"kind": "node", "zone": "a", "legs": [{"network": "n", "address": "1.2.3"}]},
            "address",
        ),
        ("hosts", "../etc", {}, "an id of hosts is one word"),
        ("hosts", "..", {}, "an id is of"),
        ("hosts", "Host", {}, "an id is of"),
        ("units", "h", {"engine": "e", "component": "c"}, "that of one of the hosts, '/', and its own word"),
        ("units", "h/u", {"engine": "e", "component": "../sh"}, "component"),
        ("units", "h/u", {"engine": "e", "component": "c", "flags": {"x": "a\nb"}}, "flags"),
        ("shells", "a", {}, "no kind 'shells'"),
    ],
)
def test_what_cannot_be_right_names_the_field(kind: str, id: str, spec: object, words: str) -> None:
    raw = msgspec.Raw(msgspec.json.encode(spec))
    with pytest.raises(errors.Invalid, match=words):
        generations.decide(KINDS, {}, requests.Batch(put={kind: {id: requests.Put(generation=1, spec=raw)}}))


def test_put_and_delete_of_one_object_in_one_batch_is_refused() -> None:
    batch = requests.Batch(put={"zones": {"a": put(2)}}, delete={"zones": {"a": requests.Delete(generation=2)}})
    with pytest.raises(errors.Invalid, match="both put and deleted"):
        decide(record(1), batch)


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["up", "black", "stopped"]), st.booleans())))
def test_generations_never_go_back_whatever_comes(story: list[tuple[int, str, bool]]) -> None:
    records: dict[store.Key, store.DesiredRecord] = {}
    highest = 0
    for generation, state, delete in story:
        batch = (
            requests.Batch(delete={"zones": {"a": requests.Delete(generation=generation)}})
            if delete
            else requests.Batch(put={"zones": {"a": put(generation, state)}})
        )
        try:
            changed, _ = generations.decide(KINDS, records, batch)
        except errors.Conflict:
            continue
        records.update({record.key: record for record in changed})
        if ("zones", "a") in records:
            now = records["zones", "a"].generation
            assert now >= highest
            highest = now
