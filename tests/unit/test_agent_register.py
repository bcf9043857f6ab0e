"""Which engines the agent runs for whoever has taken over serve: those that somebody else vouches for."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from roadstead.agent import kinds as kind_room
from roadstead.agent.api import admission
from roadstead.agent.kinds import bounds, engines, kind
from roadstead.agent.records import blobs, register
from roadstead.agent.records import desired as store
from roadstead.agent_client import client
from roadstead.contract.messages import desired, requests
from roadstead.core import errors, instance
from roadstead.engine import cache

SERVE = 64001
ID = "containerd-2.3.7"
GOOD = {"containerd": b"containerd", "ctr": b"ctr"}
SCRIPT = {**GOOD, "containerd": b"#!/bin/sh\nid >/tmp/owned\n"}
NOBODYS = "its files are not those of an engine that root or the supplier got"
EARLIER = "is of an earlier release, and nobody vouches for its files"
NODE = desired.Host(
    role="api", privilege="unprivileged", zone="a", legs=(desired.Leg(network="net", address="10.0.0.4"),), hostname="h"
)
NET = desired.Network(cidrs=("10.0.0.0/24",), subnets=(desired.Subnet(id="s", cidr="10.0.0.0/24", zone="a"),))
KINDS = kind.by_name(kind_room.KINDS)
UNIT = desired.Unit(engine=ID, component="containerd")


def engine(files: dict[str, bytes]) -> desired.Engine:
    return desired.Engine(
        components={name: f"sha256:{hashlib.sha256(file).hexdigest()}" for name, file in files.items()}
    )


@dataclass
class Place:
    """An agent's door, and the cache that it believes."""

    folder: Path
    records: store.DesiredStore
    owners: frozenset[int]

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def register(self) -> register.Register:
        return register.Register(self.records, self.cache, self.owners)

    def put(self, user: int = SERVE, generation: int = 1, **kinds: dict[str, desired.Message]) -> None:
        """Streams what engines are of, and asks for these objects."""
        kept = blobs.Blobs(self.folder / "blobs")
        for file in (*GOOD.values(), *SCRIPT.values()):
            (self.folder / "blobs" / hashlib.sha256(file).hexdigest()).write_bytes(file)
        door = admission.Admission(KINDS, self.records, kept, (), lambda _: None, bounds.Bounds(), self.register)
        batch = client.batch(
            {kind: {id: (generation, one) for id, one in some.items()} for kind, some in kinds.items()}, {}
        )
        asyncio.run(door.accept(msgspec.json.decode(batch, type=requests.Batch), user))

    def got(self, files: dict[str, bytes], recipe: str = "0" * 16, name: str = "containerd") -> Path:
        """The supplier has got an engine; its manifest."""
        parts = {
            name: cache.Component(sha256=hashlib.sha256(file).hexdigest(), size=len(file))
            for name, file in files.items()
        }
        place = self.cache / "engines" / name / "2.3.7" / recipe / "amd64" / cache.MANIFEST
        place.parent.mkdir(parents=True)
        manifest = cache.Manifest(
            name=name,
            version="2.3.7",
            arch="amd64",
            recipe=recipe,
            source="build",
            origin="here",
            verified="by its sums",
            components=parts,
        )
        place.write_bytes(msgspec.json.encode(manifest))
        return place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, store.DesiredStore(tmp_path / "desired.db"), frozenset({os.getuid()}))
    yield made
    made.records.close()


def test_an_engine_that_the_supplier_got_is_accepted_and_a_script_in_its_place_is_not(place: Place) -> None:
    place.got(GOOD)
    place.put(engines={ID: engine(GOOD)})
    for id in (ID, "containerd-9", "anything"):
        with pytest.raises(errors.Invalid, match=NOBODYS):
            place.put(engines={id: engine(SCRIPT)}, generation=2)
    assert place.register.vouched(ID) == register.written(engine(GOOD))


def test_an_engine_is_not_called_what_it_is_not(place: Place) -> None:
    """The newest runc is chosen by its number: an old one that the cache still has is not to be put before it."""
    place.got(GOOD)
    place.put(engines={ID: engine(GOOD), "containerd-2.3": engine(GOOD), "containerd-2": engine(GOOD)})
    for id in ("containerd-2.30", "containerd-9", "runc-2.3.7", "containerd", "x-containerd-2.3.7"):
        with pytest.raises(errors.Invalid, match=NOBODYS):
            place.put(engines={id: engine(GOOD)})


def test_the_whole_batch_is_refused_with_what_would_run_it(place: Place) -> None:
    with pytest.raises(errors.Invalid, match=NOBODYS):
        place.put(engines={ID: engine(SCRIPT)}, networks={"net": NET}, hosts={"h": NODE}, units={"h/u": UNIT})
    assert place.records.records == {}


@pytest.mark.parametrize("files", [{"containerd": b"ctr", "ctr": b"containerd"}, {"ctr": b"ctr"}, {"sh": b"ctr"}, {}])
def test_files_of_an_engine_under_other_names_are_another_engine(place: Place, files: dict[str, bytes]) -> None:
    place.got(GOOD)
    with pytest.raises(errors.Invalid, match=NOBODYS):
        place.put(engines={ID: engine(files)})


def test_of_two_engines_none_is_mixed(place: Place) -> None:
    place.got(GOOD)
    place.got(SCRIPT, recipe="1" * 16)
    place.put(engines={ID: engine(GOOD)})
    place.put(engines={ID: engine(SCRIPT)}, generation=2)
    with pytest.raises(errors.Invalid, match=NOBODYS):
        place.put(engines={ID: engine({**GOOD, "ctr": SCRIPT["containerd"]})}, generation=3)


def test_a_cache_that_somebody_else_writes_to_says_nothing(place: Place) -> None:
    manifest = place.got(GOOD)
    for path, mode in ((place.cache, 0o775), (place.cache, 0o757), (manifest, 0o664)):
        before = path.stat().st_mode
        path.chmod(mode)
        with pytest.raises(errors.Invalid, match=NOBODYS):
            place.put(engines={ID: engine(GOOD)})
        path.chmod(before)
    others = Place(place.folder, place.records, frozenset({os.getuid() + 1}))
    with pytest.raises(errors.Invalid, match=NOBODYS):
        others.put(engines={ID: engine(GOOD)})
    place.put(engines={ID: engine(GOOD)})


def test_a_manifest_is_a_file_of_its_form(place: Place) -> None:
    manifest = place.got(GOOD)
    real = manifest.with_name("real.json")
    manifest.rename(real)
    manifest.symlink_to(real)
    (place.got(SCRIPT, recipe="2" * 16)).write_text(json.dumps({"components": {"containerd": "x"}}))
    third = place.got(SCRIPT, recipe="3" * 16)
    third.unlink()
    os.mkfifo(third)
    # No UTF-8, and deeper than anything is read.
    place.got(SCRIPT, recipe="4" * 16).write_bytes(b'{"components": {"\xff": {"sha256": "x"}}}')
    place.got(SCRIPT, recipe="5" * 16).write_bytes(b'{"components": {}, "x": ' + b"[" * 100_000)
    with pytest.raises(errors.Invalid, match=NOBODYS):
        place.put(engines={ID: engine(GOOD)})


def test_what_root_asks_for_is_vouched_for_and_stays_so(place: Place) -> None:
    place.put(user=0, engines={ID: engine(GOOD)}, networks={"net": NET}, hosts={"h": NODE})
    place.put(units={"h/u": UNIT})
    place.records.close()
    again = Place(place.folder, store.DesiredStore(place.folder / "desired.db"), place.owners)
    try:
        assert again.register.vouches(ID, engine(GOOD))
        again.put(units={"h/v": UNIT})
        again.register.forget(ID)
        assert not again.register.vouches(ID, engine(GOOD))
    finally:
        again.records.close()


def test_what_was_accepted_stays_though_the_cache_has_lost_it(place: Place) -> None:
    manifest = place.got(GOOD)
    place.put(engines={ID: engine(GOOD)}, networks={"net": NET}, hosts={"h": NODE})
    manifest.unlink()
    place.put(units={"h/u": UNIT})


def test_an_engine_of_an_earlier_release_runs_nothing_new_until_somebody_vouches_for_it(place: Place) -> None:
    def kept(kind: str, id: str, spec: desired.Message) -> store.DesiredRecord:
        return store.DesiredRecord(kind, id, 1, msgspec.json.encode(spec).decode(), False, spec)

    earlier = {("engines", ID): engine(GOOD), ("networks", "net"): NET, ("hosts", "h"): NODE, ("units", "h/u"): UNIT}
    place.records.commit(kept(*key, spec) for key, spec in earlier.items())
    with pytest.raises(errors.Invalid, match=EARLIER):
        place.put(units={"h/v": UNIT})
    with pytest.raises(errors.Invalid, match=EARLIER):
        place.put(units={"h/u": msgspec.structs.replace(UNIT, subcommand="again")}, generation=2)
    probe = desired.CommandProbe(engine=ID, component="ctr")
    with pytest.raises(errors.Invalid, match="nobody vouches"):
        place.put(units={"h/w": msgspec.structs.replace(UNIT, engine="system", ready=probe)})
    assert place.records.records.keys() == earlier.keys()
    assert place.register.adopt() == (ID,)
    manifest = place.got(GOOD)
    place.put(units={"h/v": UNIT})
    # The next agent keeps it, whatever becomes of the cache.
    assert place.register.adopt() == ()
    manifest.unlink()
    place.put(units={"h/w": UNIT})
    assert place.register.adopt() == ()


def test_the_agent_itself_runs_no_runc_that_nobody_vouches_for(place: Place) -> None:
    """An earlier release took any, and no agent ran one; ours runs it as root of the machine."""
    ours, seen = "runc-2.3.7", list[str]()
    spec = engine({"runc": SCRIPT["containerd"], "ctr": b"ctr"})
    record = store.DesiredRecord("engines", ours, 1, msgspec.json.encode(spec).decode(), False, spec)
    place.records.commit([record])
    places = instance.Instance(state=place.folder)
    runc_there = places.engines / ours / "runc"
    place.put(networks={"net": NET})
    now: Any = SimpleNamespace(
        instance=places,
        blobs=blobs.Blobs(place.folder / "blobs"),
        register=place.register,
        records=place.records,
        observe=lambda _record, phase: seen.append(phase),
    )
    asyncio.run(engines.KIND.step(now, record))
    assert [each.name for each in runc_there.parent.iterdir()] == ["ctr"]
    runc_there.write_bytes(b"of the agent before this one")
    for id in place.register.adopt():
        engines.withhold(places, id)
    assert not runc_there.exists()
    place.got({"runc": SCRIPT["containerd"], "ctr": b"ctr"}, name="runc")
    asyncio.run(engines.KIND.step(now, record))
    assert runc_there.read_bytes() == SCRIPT["containerd"]
    assert seen == ["ready", "ready"]
