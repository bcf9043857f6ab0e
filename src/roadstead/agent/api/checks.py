"""What may be asked of the agent, decided over all desired states together, before anything is kept.

Each kind has its own check; here are what all of them have in common. The first object that is wrong refuses the whole
batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from roadstead.agent.kinds import kind as descriptors
from roadstead.agent.records import desired as store
from roadstead.core import errors

Records = Mapping[store.Key, store.DesiredRecord]

_SHOWN = 10


def with_parts(
    kinds: descriptors.Kinds, records: Records, changed: Collection[store.DesiredRecord]
) -> list[store.DesiredRecord]:
    """These changes, and of what they delete the parts, which are deleted with it."""
    asked = {record.key for record in changed}
    found = list(changed)
    for whole in changed:
        if whole.deleting:
            found += [
                store.DesiredRecord(part.kind, part.id, part.generation, part.text, True, part.spec, part.trouble)
                for part in descriptors.parts(kinds, records.values(), whole.key)
                if part.key not in asked and not part.deleting
            ]
    return found


def check(
    kinds: descriptors.Kinds,
    records: Records,
    changed: Collection[store.DesiredRecord],
    facts: descriptors.Facts,
) -> None:
    """Raises Invalid with every reason why these changes of the records may not be kept."""
    after = {**records, **{record.key: record for record in changed}}
    now = descriptors.Wanted(after.values())
    keys = {record.key for record in changed}
    problems: list[str] = []
    for kind in kinds.values():
        new = {id: spec for id, spec in now.all(kind.message).items() if (kind.name, id) in keys}
        problems += kind.check(new, now, facts)
    problems += _still_needed(kinds, after.values(), changed)
    if problems:
        raise errors.Invalid("; ".join(problems[:_SHOWN]), problems=len(problems))


def _still_needed(
    kinds: descriptors.Kinds, after: Iterable[store.DesiredRecord], changed: Iterable[store.DesiredRecord]
) -> Iterator[str]:
    """What is used by something that stays is not deleted."""
    leaving = [record for record in changed if record.deleting]
    if not leaving:
        return
    used = descriptors.users(kinds, (record for record in after if not record.deleting))
    for record in leaving:
        users = sorted(dict.fromkeys(id for _, id in used.get(record.key, ())))
        if users:
            yield f"{record.kind}/{record.id} is in use by {', '.join(users[:5])}; delete these first"
