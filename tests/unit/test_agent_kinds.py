"""Kinds of desired states: what there is of them, what goes through all of them, and that one more is one entry."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from roadstead.agent import kinds
from roadstead.agent.api import admission, checks
from roadstead.agent.kinds import bounds, context, kind
from roadstead.agent.records import blobs, observation_log, register
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired, requests
from roadstead.core import errors

KINDS = kind.by_name(kinds.KINDS)
DIGEST = f"sha256:{'0' * 64}"
NETWORK = desired.Network(cidrs=("10.0.0.0/24",), subnets=(desired.Subnet(id="s", cidr="10.0.0.0/24", zone="a"),))
HOST = desired.Host(
    role="api", privilege="unprivileged", zone="a", legs=(desired.Leg(network="net", address="10.0.0.4"),), hostname="h"
)
PROBE = desired.CommandProbe(engine="probes", component="look")
UNIT = desired.Unit(
    engine="etcd",
    component="etcd",
    ready=PROBE,
    files={"key": desired.UnitFile(blob=DIGEST), "plain": desired.UnitFile(content="x")},
    images=("sha256:" + "1" * 64,),
)


def record(name: str, id: str, spec: desired.Message, *, deleting: bool = False) -> store.DesiredRecord:
    return store.DesiredRecord(name, id, 1, msgspec.json.encode(spec).decode(), deleting, spec)


def keyed(*records: store.DesiredRecord) -> dict[store.Key, store.DesiredRecord]:
    return {each.key: each for each in records}


RECORDS = keyed(
    record("networks", "net", NETWORK),
    record("hosts", "h", HOST),
    record("units", "h/etcd", UNIT),
    record("engines", "etcd", desired.Engine(components={"etcd": DIGEST})),
    record("engines", "probes", desired.Engine(components={"look": "sha256:" + "2" * 64})),
)
FACTS = kind.Facts(lambda _: True, ())


def test_the_agent_works_on_every_kind_that_may_be_sent() -> None:
    assert kind.messages(KINDS) == desired.KINDS


def test_what_a_kind_uses_is_looked_at_before_it() -> None:
    """A later start of the agent finds in place what it asks for next."""
    every = [*RECORDS.values(), record("publishes", "p", publish()), record("listeners", "l", listener("network"))]
    for used, users in kind.users(KINDS, every).items():
        assert all(KINDS[used[0]].order < KINDS[name].order for name, _ in users)


def publish() -> desired.Publish:
    return desired.Publish(address="127.0.0.1", port=6443, network="net", target="10.0.0.4", target_port=443)


def listener(namespace: str) -> desired.Listener:
    of = {"network": "net", "host": "h"}.get(namespace)
    return desired.Listener(namespace=namespace, of=of, address="0.0.0.0", port=1, process="porter", user=9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "more", "user"),
    [
        (("engines", "etcd"), {}, "h/etcd"),
        (("engines", "probes"), {}, "h/etcd"),
        (("networks", "net"), {}, "h"),
        (("networks", "net"), {"publishes": ("p", publish())}, "h, p"),
        (("networks", "net"), {"listeners": ("l", listener("network"))}, "h, l"),
        (("hosts", "h"), {"listeners": ("l", listener("host"))}, "l"),
    ],
)
def test_what_is_in_use_is_not_deleted(key: store.Key, more: dict[str, tuple[str, desired.Message]], user: str) -> None:
    records = {**RECORDS, **keyed(*(record(name, *each) for name, each in more.items()))}
    before = records[key]
    leaving = checks.with_parts(KINDS, records, [record(*key, before.spec, deleting=True)] if before.spec else [])
    with pytest.raises(errors.Invalid, match=rf"{'/'.join(key)} is in use by {user}; delete these first"):
        checks.check(KINDS, records, leaving, FACTS)


def test_a_host_goes_with_its_units_and_then_nothing_uses_its_engines() -> None:
    changed = checks.with_parts(KINDS, RECORDS, [record("hosts", "h", HOST, deleting=True)])
    assert [each.key for each in changed] == [("hosts", "h"), ("units", "h/etcd")]
    engines = [
        record("engines", id, RECORDS["engines", id].spec or NETWORK, deleting=True) for id in ("etcd", "probes")
    ]
    checks.check(KINDS, RECORDS, [*changed, *engines], FACTS)


def test_the_bytes_that_are_used_are_those_of_all_kinds() -> None:
    wanted = kind.Wanted(RECORDS.values())
    assert kind.blobs(KINDS, wanted) == {DIGEST, "sha256:" + "1" * 64, "sha256:" + "2" * 64}


class Lamp(desired.Message, frozen=True, kw_only=True):
    """Something that a later release has on its hosts."""

    network: str
    oil: str


def _lit(new: Mapping[str, Lamp], now: kind.Wanted, facts: kind.Facts) -> Iterator[str]:
    for id, lamp in new.items():
        if not facts.has_blob(lamp.oil):
            yield f"lamp {id}: no oil"
        if id.split("/")[0] not in now.all(desired.Host):
            yield f"lamp {id}: no host"


class _Burning(set[str]):
    """What the lamps' step remembers."""


async def _burn(now: context.StepContext, lamp: store.DesiredRecord) -> float | None:
    if lamp.deleting:
        now.gone(lamp)
    else:
        now.memory(_Burning).add(lamp.id)
        now.observe(lamp, "ready")
    return None


LAMPS = kind.Kind(
    name="lamps",
    message=Lamp,
    step=_burn,
    order=6,
    check=_lit,
    uses=lambda _, lamp: [("networks", lamp.network)],
    blobs=lambda lamp: [lamp.oil],
    forget=lambda now, id: now.memory(_Burning).discard(id),
    part_of="hosts",
)


def is_given(field: dataclasses.Field[Any]) -> bool:
    """Whether it is one of the rooms, of which a lamp needs none."""
    return field.init and field.default_factory is dataclasses.MISSING


def test_one_more_kind_is_one_more_entry(tmp_path: Path) -> None:
    """Put, checked, kept, worked on, deleted with its host, and forgotten: nothing else knows of it."""
    known = kind.by_name((*kinds.KINDS, LAMPS))
    records = store.DesiredStore(tmp_path / "desired.db", kind.messages(known))
    kept = blobs.Blobs(tmp_path / "blobs")
    accepted: list[store.Key] = []
    door = admission.Admission(
        known,
        records,
        kept,
        (),
        lambda each: accepted.append(each.key),
        bounds.Bounds(),
        register.Register(records, None, frozenset()),
    )

    def put(**specs: tuple[str, desired.Message]) -> None:
        batch = requests.Batch(
            put={
                name: {id: requests.Put(generation=1, spec=msgspec.Raw(msgspec.json.encode(spec)))}
                for name, (id, spec) in specs.items()
            }
        )
        asyncio.run(door.accept(batch, 0))

    put(networks=("net", NETWORK), hosts=("h", HOST))
    lamp = Lamp(network="net", oil=DIGEST)
    with pytest.raises(errors.Invalid, match="lamp h/one: no oil"):
        put(lamps=("h/one", lamp))
    (tmp_path / "blobs" / ("0" * 64)).touch()
    put(lamps=("h/one", lamp))
    assert records.records["lamps", "h/one"].spec == lamp
    assert kind.blobs(known, kind.Wanted(records.records.values())) == {DIGEST}

    forgotten: list[str] = []
    rooms: Any = dict.fromkeys(field.name for field in dataclasses.fields(context.StepContext) if is_given(field))
    log = observation_log.ObservationLog(first=1)
    now = context.StepContext(**{**rooms, "kinds": known, "records": records, "observations": log})
    loop: Any = SimpleNamespace(forget=lambda key: forgotten.append("/".join(key)))
    now.loop = loop
    asyncio.run(kinds.step(now, ("lamps", "h/one")))
    assert now.phase("lamps", "h/one") == "ready"
    assert now.memory(_Burning) == {"h/one"}
    now.warn(("lamps", "h/one"), ("is near the end of its oil",))
    asyncio.run(kinds.step(now, ("lamps", "h/one")))
    seen = log.get(("lamps", "h/one"))
    assert seen is not None
    assert seen.warnings == ("is near the end of its oil",)

    gone = requests.Batch(delete={"hosts": {"h": requests.Delete(generation=2)}})
    accepted.clear()
    asyncio.run(door.accept(gone, 0))
    assert accepted == [("hosts", "h"), ("lamps", "h/one")]
    asyncio.run(kinds.step(now, ("lamps", "h/one")))
    assert (now.memory(_Burning), now.phase("lamps", "h/one"), forgotten) == (set(), None, ["lamps/h/one"])
    assert records.get(("lamps", "h/one")) is None
    records.close()
