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
from typing import Any

import msgspec

from roadstead.agent.kinds import kind as descriptors
from roadstead.agent.records import desired as store
from roadstead.contract.messages import earlier, forms, requests
from roadstead.core import errors

_ID = msgspec.json.Decoder(forms.Id)


def decide(
    kinds: descriptors.Kinds, records: Mapping[store.Key, store.DesiredRecord], batch: requests.Batch
) -> tuple[list[store.DesiredRecord], tuple[requests.Accepted, ...]]:
    """The records to keep and the answer. Raises Invalid or Conflict for the first object that may not be."""
    changed: list[store.DesiredRecord] = []
    accepted: list[requests.Accepted] = []
    for name, puts in batch.put.items():
        for id, put in puts.items():
            record, answer = _put(_known(kinds, name), records, id, put)
            accepted.append(answer)
            if record is not None:
                changed.append(record)
    for name, deletes in batch.delete.items():
        for id, delete in deletes.items():
            if id in batch.put.get(name, {}):
                raise errors.Invalid(f"{name}/{id} is both put and deleted in one batch")
            record, answer = _delete(_known(kinds, name), records, id, delete.generation)
            accepted.append(answer)
            if record is not None:
                changed.append(record)
    return changed, tuple(accepted)


def _known(kinds: descriptors.Kinds, name: str) -> descriptors.Kind[Any]:
    kind = kinds.get(name)
    if kind is None:
        raise errors.Invalid(f"no kind {name!r}: use one of {', '.join(kinds)}", kind=name)
    return kind


def _check_id(kind: descriptors.Kind[Any], id: str) -> None:
    """Raises Invalid unless the id has the form of ids; that of a part is WHOLE/PART."""
    words = id.split("/")
    if len(words) != (2 if kind.part_of else 1):
        form = f"that of one of the {kind.part_of}, '/', and its own word" if kind.part_of else "one word"
        raise errors.Invalid(f"{kind.name}/{id}: an id of {kind.name} is {form}", kind=kind.name, id=id)
    for word in words:
        try:
            _ID.decode(msgspec.json.encode(word))
        except msgspec.ValidationError as error:
            raise errors.Invalid(
                f"{kind.name}/{id}: an id is of a-z, 0-9, '-', and dots between words", kind=kind.name, id=id
            ) from error


def _put(
    kind: descriptors.Kind[Any],
    records: Mapping[store.Key, store.DesiredRecord],
    id: str,
    put: requests.Put,
) -> tuple[store.DesiredRecord | None, requests.Accepted]:
    _check_id(kind, id)
    name = f"{kind.name}/{id}"
    try:
        spec = earlier.read(kind.message, id, bytes(put.spec))
    except msgspec.DecodeError as error:
        raise errors.Invalid(f"{name}: {error}", kind=kind.name, id=id) from error
    # The text is ours again, so that equal specs are equal texts however they were written.
    text = msgspec.json.encode(spec, order="deterministic").decode()
    before = records.get((kind.name, id))
    answer = requests.Accepted(kind=kind.name, id=id, generation=put.generation, outcome="created")
    if before is not None:
        _refuse_older(before, put.generation)
        if before.deleting:
            raise errors.Conflict(f"{name} is being deleted; put it again when it is gone", kind=kind.name, id=id)
        # What an earlier release wrote is the same in other words.
        same = before.text == text or before.spec == spec
        if before.generation == put.generation and not same:
            raise errors.Conflict(
                f"{name}: generation {put.generation} is here with another content; a change needs a newer generation",
                kind=kind.name,
                id=id,
                generation=before.generation,
            )
        if before.generation == put.generation:
            return None, msgspec.structs.replace(answer, outcome="unchanged")
        if before.spec is not None and (refusal := kind.refuses(before.spec, spec)):
            raise errors.Conflict(f"{name} {refusal}: delete it first", id=id)
        answer = msgspec.structs.replace(answer, outcome="unchanged" if same else "changed")
    return store.DesiredRecord(kind.name, id, put.generation, text, False, spec), answer


def _delete(
    kind: descriptors.Kind[Any],
    records: Mapping[store.Key, store.DesiredRecord],
    id: str,
    generation: int,
) -> tuple[store.DesiredRecord | None, requests.Accepted]:
    _check_id(kind, id)
    before = records.get((kind.name, id))
    answer = requests.Accepted(kind=kind.name, id=id, generation=generation, outcome="absent")
    if before is None:
        return None, answer
    _refuse_older(before, generation)
    record = store.DesiredRecord(kind.name, id, generation, before.text, True, before.spec, before.trouble)
    return record, msgspec.structs.replace(answer, outcome="deleting")


def _refuse_older(before: store.DesiredRecord, generation: int) -> None:
    if generation < before.generation:
        raise errors.Conflict(
            f"{before.kind}/{before.id}: generation {generation} is older than {before.generation}, which is here",
            kind=before.kind,
            id=before.id,
            generation=before.generation,
        )
