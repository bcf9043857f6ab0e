"""What a batch may ask for of a unit that starts after another: decided before anything is kept."""

from __future__ import annotations

import msgspec
import pytest

from roadstead.agent import kinds
from roadstead.agent.api import checks
from roadstead.agent.kinds import kind
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired
from roadstead.core import errors

NETWORK = desired.Network(
    cidrs=("10.0.0.0/24",), subnets=(desired.Subnet(id="s", cidr="10.0.0.0/24", zone="a"),), egress=False
)
HOST = desired.Host(
    role="api", privilege="unprivileged", zone="a", legs=(desired.Leg(network="net", address="10.0.0.4"),), hostname="h"
)


DIGEST = f"sha256:{'0' * 64}"


def record(name: str, id: str, spec: desired.Message, *, deleting: bool = False) -> store.DesiredRecord:
    return store.DesiredRecord(name, id, 1, "", deleting, spec)


RECORDS = {
    each.key: each
    for each in (
        record("networks", "net", NETWORK),
        record("hosts", "h", HOST),
        record("engines", "etcd-3.6", desired.Engine(components={"etcd": DIGEST, "etcdutl": DIGEST})),
        record("engines", "containerd", desired.Engine(components={"ctr": DIGEST})),
    )
}
KINDS = kind.by_name(kinds.KINDS)


def unit(after: str | None = None) -> desired.Unit:
    return desired.Unit(engine="system", component="haproxy", after=after)


def asked(**units: desired.Unit) -> None:
    """Raises what the agent refuses of a host `h` with these units."""
    changed = [record("units", f"h/{name}", one) for name, one in units.items()]
    checks.check(KINDS, RECORDS, changed, kind.Facts(lambda _: True, ("haproxy",)))


def test_a_unit_may_start_after_another_of_its_host() -> None:
    asked(first=unit(), second=unit("first"), third=unit("first"), fourth=unit("third"))


@pytest.mark.parametrize(
    "units",
    [
        {"second": unit("first")},
        {"first": unit("first")},
        {"first": unit("second"), "second": unit("first")},
        {"first": unit(), "second": unit("third"), "third": unit("fourth"), "fourth": unit("second")},
        {"first": unit("gone"), "second": unit("first")},
    ],
)
def test_what_could_wait_for_ever_is_refused(units: dict[str, desired.Unit]) -> None:
    with pytest.raises(errors.Invalid, match="no unit of its host that starts by itself"):
        asked(**units)


def seeded(**more: object) -> desired.Unit:
    first = desired.First(**{"component": "etcdutl", "folder": "data", **more})  # type: ignore[arg-type]
    return desired.Unit(engine="etcd-3.6", component="etcd", folders=("data",), first=first)


def test_a_folder_may_be_filled_before_the_first_start() -> None:
    asked(etcd=seeded())


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (seeded(component="sh"), "has no component sh"),
        (seeded(folder="other"), "none of its folders"),
        (seeded(flags={"data-dir": "/etc"}), "not for the unit to say"),
        (msgspec.structs.replace(seeded(), engine="system", component="haproxy"), "must be of an engine"),
    ],
)
def test_what_may_not_fill_a_folder_is_refused(unit: desired.Unit, words: str) -> None:
    with pytest.raises(errors.Invalid, match=words):
        asked(etcd=unit)


def kubelet(after: str | None) -> desired.Unit:
    return desired.Unit(engine="etcd-3.6", component="etcd", after=after, images=(DIGEST,))


def test_images_are_imported_by_the_engine_that_a_unit_starts_after() -> None:
    asked(containerd=desired.Unit(engine="containerd", component="ctr"), kubelet=kubelet("containerd"))
    for units in ({"other": unit(), "kubelet": kubelet("other")}, {"kubelet": kubelet(None)}):
        with pytest.raises(errors.Invalid, match="no unit whose engine imports them"):
            asked(**units)


def test_an_environment_in_a_file_that_there_is_not_is_refused() -> None:
    with pytest.raises(errors.Invalid, match=r"its environment is in the file more\.env, which the unit does not have"):
        asked(first=desired.Unit(engine="system", component="haproxy", environment_file="more.env"))
