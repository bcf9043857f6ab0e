"""What the agent knows of a kind of desired state: one descriptor for each, and what is asked of all of them together.

A kind is a module of this room with its `KIND`, and an entry in `kinds.KINDS`. Whatever concerns all kinds (what may be
asked for, what is still needed, which bytes are used, what is looked at first) goes through that tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired

if TYPE_CHECKING:
    from roadstead.agent.kinds import bounds, context

M = TypeVar("M", bound=desired.Message)


@dataclass(frozen=True)
class Facts:
    """What is decided by beside the desired states themselves."""

    has_blob: Callable[[str], bool]
    system: Collection[str]
    """Programs of the machine that hosts may run."""
    bounds: bounds.Bounds | None = None
    """Of who asks; None: root does, whose machine it is."""
    vouches: Callable[[str, desired.Engine], bool] = lambda _id, _engine: True
    """Whether somebody else than who asks says that an engine is what it is said to be."""


class Wanted:
    """All desired states that are understood and not being deleted."""

    def __init__(self, records: Iterable[store.DesiredRecord] = ()) -> None:
        self._specs: dict[type[desired.Message], dict[str, desired.Message]] = {}
        for record in records:
            if record.spec is not None and not record.deleting:
                self._specs.setdefault(type(record.spec), {})[record.id] = record.spec

    def all(self, of: type[M]) -> Mapping[str, M]:
        """Those of one type by id, in the order in which they were asked for."""
        return cast("Mapping[str, M]", self._specs.get(of, {}))

    def get(self, of: type[M], id: str) -> M | None:
        """None: it is not asked for, is being deleted, or is not understood."""
        return self.all(of).get(id)


def _no_problem(_new: Mapping[str, Any], _now: Wanted, _facts: Facts) -> Iterator[str]:
    yield from ()


def _uses_nothing(_id: str, _spec: Any) -> Iterable[store.Key]:
    return ()


def _no_blobs(_spec: Any) -> Iterable[str]:
    return ()


def _remembers_nothing(_now: context.StepContext, _id: str) -> None:
    return


def _free(_before: Any, _spec: Any) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[M]):
    """One kind. All but `step` and `forget` are pure."""

    name: str
    """In paths and records, as in desired.KINDS."""
    message: type[M]
    step: Callable[[context.StepContext, store.DesiredRecord], Coroutine[Any, Any, float | None]]
    """One look at one object: what is to be done now is done. Seconds until the next look; None: what it waits for
    wakes it. Also for one that is being deleted, of which it may be that nothing more is understood than its id."""
    order: int
    """By which objects that were there before this agent are looked at first."""
    check: Callable[[Mapping[str, M], Wanted, Facts], Iterator[str]] = _no_problem
    """Why a batch may not be kept: of this kind what it puts, all that would be wanted then, and facts."""
    uses: Callable[[str, M], Iterable[store.Key]] = _uses_nothing
    """Which objects of other kinds one needs: these are not deleted before it, and wake it when they are ready."""
    blobs: Callable[[M], Iterable[str]] = _no_blobs
    """The digests of the bytes that one needs."""
    forget: Callable[[context.StepContext, str], None] = _remembers_nothing
    """One is gone: whatever this kind remembers of it goes, too."""
    part_of: str = ""
    """The kind of which each has its own: the id is WHOLE/PART then, and it is deleted with the whole."""
    refuses: Callable[[M, M], str] = _free
    """Why one does not become another in place, after its name in a sentence; empty: it does."""

    def is_part(self, id: str, whole: store.Key) -> bool:
        """Whether the object of that id and of this kind is deleted with the whole."""
        return self.part_of == whole[0] and id.partition("/")[0] == whole[1]


Kinds = Mapping[str, Kind[Any]]
"""By name."""


def by_name(kinds: Iterable[Kind[Any]]) -> Kinds:
    return {kind.name: kind for kind in kinds}


def messages(kinds: Kinds) -> dict[str, type[desired.Message]]:
    """What records are read as."""
    return {name: kind.message for name, kind in kinds.items()}


def users(kinds: Kinds, records: Iterable[store.DesiredRecord]) -> dict[store.Key, list[store.Key]]:
    """By what is used who uses it, as far as it is understood."""
    found: dict[store.Key, list[store.Key]] = {}
    for record in records:
        if record.spec is not None:
            for used in kinds[record.kind].uses(record.id, record.spec):
                found.setdefault(used, []).append(record.key)
    return found


def parts(kinds: Kinds, records: Iterable[store.DesiredRecord], whole: store.Key) -> list[store.DesiredRecord]:
    """What is of one object alone, also what is not understood."""
    return [record for record in records if record.kind in kinds and kinds[record.kind].is_part(record.id, whole)]


def blobs(kinds: Kinds, wanted: Wanted) -> set[str]:
    """The digests of all bytes that anything needs."""
    return {
        digest for kind in kinds.values() for spec in wanted.all(kind.message).values() for digest in kind.blobs(spec)
    }
