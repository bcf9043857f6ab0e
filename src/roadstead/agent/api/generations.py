"""What a batch does to the desired states: a pure decision, by generations.

newer generation                      accepted
same generation, same content         accepted, nothing changes (a repeated request)
same generation, other content        Conflict
older generation                      Conflict
a put on what is being deleted        Conflict: it comes back under its name when it is gone
delete of what is not there           accepted, nothing to do
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired, forms, requests
from roadstead.core import errors

_ID = msgspec.json.Decoder(forms.Id)


def decide(
    records: Mapping[store.Key, store.DesiredRecord], batch: requests.Batch
) -> tuple[list[store.DesiredRecord], tuple[requests.Accepted, ...]]:
    """The records to keep and the answer. Raises Invalid or Conflict for the first object that may not be."""
    changed: list[store.DesiredRecord] = []
    accepted: list[requests.Accepted] = []
    for kind, puts in batch.put.items():
        for id, put in puts.items():
            record, answer = _put(records, kind, id, put)
            accepted.append(answer)
            if record is not None:
                changed.append(record)
    for kind, deletes in batch.delete.items():
        for id, delete in deletes.items():
            if id in batch.put.get(kind, {}):
                raise errors.Invalid(f"{kind}/{id} is both put and deleted in one batch")
            record, answer = _delete(records, kind, id, delete.generation)
            accepted.append(answer)
            if record is not None:
                changed.append(record)
    return changed, tuple(accepted)


def decoded(kind: str, id: str, text: bytes) -> desired.Message:
    """The spec of a kind. Raises Invalid that names the field that is wrong."""
    known = desired.KINDS.get(kind)
    if known is None:
        raise errors.Invalid(f"no kind {kind!r}: use one of {', '.join(desired.KINDS)}", kind=kind)
    check_id(kind, id)
    try:
        return msgspec.json.decode(text, type=known)
    except msgspec.DecodeError as error:
        raise errors.Invalid(f"{kind}/{id}: {error}", kind=kind, id=id) from error


def check_id(kind: str, id: str) -> None:
    """Raises Invalid unless the id has the form of ids; a unit's is HOST/UNIT."""
    parts = id.split("/")
    if len(parts) != (2 if kind == "units" else 1):
        raise errors.Invalid(f"{kind}/{id}: the id of a unit is HOST/UNIT, of others one word", kind=kind, id=id)
    for part in parts:
        try:
            _ID.decode(msgspec.json.encode(part))
        except msgspec.ValidationError as error:
            raise errors.Invalid(
                f"{kind}/{id}: an id is of a-z, 0-9, '-', and dots between words", kind=kind, id=id
            ) from error


def _put(
    records: Mapping[store.Key, store.DesiredRecord], kind: str, id: str, put: requests.Put
) -> tuple[store.DesiredRecord | None, requests.Accepted]:
    spec = decoded(kind, id, bytes(put.spec))
    # The text is ours again, so that equal specs are equal texts however they were written.
    text = msgspec.json.encode(spec, order="deterministic").decode()
    before = records.get((kind, id))
    answer = requests.Accepted(kind=kind, id=id, generation=put.generation, outcome="created")
    if before is not None:
        _refuse_older(before, put.generation)
        if before.deleting:
            raise errors.Conflict(f"{kind}/{id} is being deleted; put it again when it is gone", kind=kind, id=id)
        if before.generation == put.generation and before.text != text:
            raise errors.Conflict(
                f"{kind}/{id}: generation {put.generation} is here with another content; "
                "a change needs a newer generation",
                kind=kind,
                id=id,
                generation=before.generation,
            )
        if before.generation == put.generation:
            return None, msgspec.structs.replace(answer, outcome="unchanged")
        _refuse_another_kind(before, spec)
        same = before.text == text
        answer = msgspec.structs.replace(answer, outcome="unchanged" if same else "changed")
    return store.DesiredRecord(kind, id, put.generation, text, False, spec), answer


def _delete(
    records: Mapping[store.Key, store.DesiredRecord], kind: str, id: str, generation: int
) -> tuple[store.DesiredRecord | None, requests.Accepted]:
    if kind not in desired.KINDS:
        raise errors.Invalid(f"no kind {kind!r}: use one of {', '.join(desired.KINDS)}", kind=kind)
    check_id(kind, id)
    before = records.get((kind, id))
    answer = requests.Accepted(kind=kind, id=id, generation=generation, outcome="absent")
    if before is None:
        return None, answer
    _refuse_older(before, generation)
    record = store.DesiredRecord(kind, id, generation, before.text, True, before.spec, before.trouble)
    return record, msgspec.structs.replace(answer, outcome="deleting")


def _refuse_another_kind(before: store.DesiredRecord, spec: desired.Message) -> None:
    """A node is made with users of its own or without by what is on its disk: never by that of another kind of host."""
    old = before.spec
    if isinstance(old, desired.Host) and isinstance(spec, desired.Host) and old.kind != spec.kind:
        raise errors.Conflict(
            f"hosts/{before.id} is a {old.kind} host and does not become a {spec.kind}: delete it first", id=before.id
        )


def _refuse_older(before: store.DesiredRecord, generation: int) -> None:
    if generation < before.generation:
        raise errors.Conflict(
            f"{before.kind}/{before.id}: generation {generation} is older than {before.generation}, which is here",
            kind=before.kind,
            id=before.id,
            generation=before.generation,
        )
