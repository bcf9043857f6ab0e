"""The kinds of resources that are kept as desired states: how each is named, read, written, tagged, and referred to.

A kind is a value that the room of its resource declares. What works on resources of any kind (tags, ARNs, events, what
is still in use) is given a `Kinds`, asks it, and knows none by name. Records and secrets have no kind here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from roadstead.core import errors, ids
from roadstead.store import facts, interface, keys, writes

T = TypeVar("T")


class Arn(Protocol):
    """How ARNs of a kind are written and read."""

    def of(self, desired: facts.Desired) -> str:
        """The ARN of a resource."""
        ...

    def shared(self, key: keys.Key) -> str:
        """What the ARNs of all resources of a key begin with, those that are gone too: all but an own id."""
        ...

    def place(self, arn: str) -> keys.Key | keys.Prefix | None:
        """Where the resource of an ARN is, or below what; None for what is no ARN of the kind."""
        ...


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of resource, kept as JSON of the dataclass or msgspec structure `type`."""

    name: str
    """In keys: a word in lower case, as it is said to people."""
    type: type[T]
    service: str = ""
    """The AWS service whose resource it is, by its name in ARNs; empty: none's, it is Roadstead's own."""
    arn: Arn | None = None
    world: bool = False
    """Whether it belongs to an account and to no region."""
    refers: Mapping[str, Callable[[keys.Key, T], Iterable[keys.Key]]] = field(default_factory=dict)
    """By the kinds of what cannot be deleted as long as this refers to it: the keys of what it refers to."""
    quota: int | None = None
    """How many there may be of one parent, or of a region where it has none; None: as many as there is room for."""
    operations: str = ""
    """The kind of the records of operations on it (`store.operations`); empty: there are none."""

    @property
    def plural(self) -> str:
        """For people: `clusters`, `access entries`, `access keys`."""
        word = self.name.replace("-", " ")
        return f"{word[:-1]}ies" if word.endswith("y") and word[-2] not in "aeiou" else f"{word}s"

    @property
    def taggable(self) -> bool:
        """Whether it has `tags`."""
        return "tags" in self.type.__annotations__

    def key(self, account: str, region: str, *names: str) -> keys.Key:
        """`names`: its parents' and its own: `shop`, `workers`. What is of the world has no region."""
        return keys.Key(account, keys.GLOBAL if self.world else region, self.name, *names)

    def below(self, account: str, region: str, *names: str) -> keys.Prefix:
        """All of an account in a region, or those whose first names are these."""
        return keys.Prefix(account, keys.GLOBAL if self.world else region, self.name, *names)

    def read(self, body: bytes) -> T:
        """Raises msgspec.DecodeError for a body of another kind, or of a newer release."""
        return msgspec.json.decode(body, type=self.type)

    def written(self, resource: T) -> bytes:
        """As `read` reads it."""
        return msgspec.json.encode(resource)

    def put(self, key: keys.Key, resource: T, expected: writes.Expected = None) -> writes.Put:
        """What keeps a resource. `expected`: see store.writes; None: whatever is there is replaced."""
        return writes.Put(key, self.written(resource), expected)

    def arn_of(self, desired: facts.Desired) -> str:
        """Raises NotFound where the kind has no ARNs."""
        if self.arn is None:
            raise errors.NotFound(f"a {self.name} has no ARN", key=desired.key)
        return self.arn.of(desired)

    def tags(self, resource: T) -> Mapping[str, str]:
        """Of a kind that is taggable."""
        found: Mapping[str, str] = cast("Any", resource).tags
        return found

    def tagged(self, resource: T, tags: Mapping[str, str]) -> T:
        """The same with other tags."""
        if isinstance(resource, msgspec.Struct):
            return msgspec.structs.replace(resource, tags=tags)
        return cast("T", dataclasses.replace(cast("Any", resource), tags=tags))


@dataclass(frozen=True)
class ArnTemplate:
    """`arn:aws:eks:{region}:{account}:nodegroup/{0}/{1}/{id}`: numbers are a key's names, `id` is `own_id`."""

    kind: str
    text: str

    def of(self, desired: facts.Desired) -> str:
        key = desired.key
        return self.text.format(*key.names, region=key.region, account=key.account, id=own_id(desired))

    def shared(self, key: keys.Key) -> str:
        return self.text.removesuffix("/{id}").format(*key.names, region=key.region, account=key.account)

    def place(self, arn: str) -> keys.Key | None:
        # Six parts divided by colons, and those of the last one by slashes. No name here has either.
        wanted, given = self.text.split(":", 5), arn.split(":", 5)
        if len(given) != len(wanted):
            return None
        wanted, given = [*wanted[:5], *wanted[5].split("/")], [*given[:5], *given[5].split("/")]
        if len(given) != len(wanted) or not all(given[5:]):
            return None
        found = {}
        for pattern, part in zip(wanted, given, strict=True):
            if pattern.startswith("{"):
                found[pattern[1:-1]] = part
            elif pattern != part:
                return None
        names = [found[number] for number in sorted(name for name in found if name.isdigit())]
        try:
            return keys.Key(found["account"], found.get("region", keys.GLOBAL), self.kind, *names)
        except errors.Invalid:
            return None


def own_id(desired: facts.Desired) -> str:
    """A UUID that a resource has alone, and not one of the same name that is made after it was deleted."""
    return ids.uuid_of(f"{desired.key}@{desired.created}")


@dataclass(frozen=True)
class Users:
    """What refers to a resource. A transaction with `guards` fails where another has come to since."""

    keys: tuple[keys.Key, ...]
    guards: tuple[writes.Unchanged, ...]

    def __str__(self) -> str:
        """`cluster shop, nodegroup shop/workers`."""
        return ", ".join(f"{key.kind} {'/'.join(key.names)}" for key in self.keys)


class Kinds:
    """Some kinds, by their names. Raises Invalid for two of one name."""

    def __init__(self, kinds: Iterable[Kind[Any]] = ()) -> None:
        self._by_name: dict[str, Kind[Any]] = {}
        for kind in kinds:
            if kind.name in self._by_name:
                raise errors.Invalid(f"there are two kinds {kind.name!r}", kind=kind.name)
            self._by_name[kind.name] = kind

    def __iter__(self) -> Iterator[Kind[Any]]:
        return iter(self._by_name.values())

    def find(self, name: str) -> Kind[Any] | None:
        """None: nobody has declared a kind of that name."""
        return self._by_name.get(name)

    def of(self, key: keys.Key) -> Kind[Any]:
        """Raises NotFound for a key of another kind."""
        kind = self._by_name.get(key.kind)
        if kind is None:
            raise errors.NotFound(f"{key} is of kind {key.kind!r}, which nobody has declared", key=key)
        return kind

    def shared_arn(self, key: keys.Key) -> str:
        """What the ARNs of all resources of a key begin with; of a kind without ARNs, a text in their form."""
        known = self._by_name.get(key.kind)
        if known is None or known.arn is None:
            return f"arn:aws:roadstead:{key.region}:{key.account}:{key.kind}/{'/'.join(key.names)}"
        return known.arn.shared(key)

    async def at(self, store: interface.Store, arn: str) -> facts.State | None:
        """The resource that has an ARN now; None where there is none, or where one of its name has another."""
        for kind in self._by_name.values():
            place = None if kind.arn is None else kind.arn.place(arn)
            if kind.arn is None or place is None:
                continue
            if isinstance(place, keys.Key):
                state = await store.get(place)
                there: tuple[facts.State, ...] = () if state is None else (state,)
            else:
                there = (await interface.everything(store, place)).items
            for one in there:
                if kind.arn.of(one.desired) == arn:
                    return one
        return None

    async def users(self, store: interface.Store, key: keys.Key) -> Users:
        """What refers to a resource, of all kinds in its account and region that may."""
        found: list[keys.Key] = []
        guards: list[writes.Unchanged] = []
        for kind in self._by_name.values():
            refers = kind.refers.get(key.kind)
            if refers is None:
                continue
            below = kind.below(key.account, key.region)
            page = await interface.everything(store, below)
            guards.append(writes.Unchanged(below, page.revision))
            found += [state.key for state in page.items if key in refers(state.key, kind.read(state.desired.body))]
        return Users(tuple(found), tuple(guards))
