"""How long components wait for each other on slow machines, and what is said of these."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from tests.unit import control_plane_facts

from roadstead.agent import pace as measuring
from roadstead.clusters import observed
from roadstead.clusters.allocation import allocator
from roadstead.clusters.capacity import pace
from roadstead.clusters.components import controller_manager, edge, etcd
from roadstead.contract.messages import machine
from roadstead.provider import projection

QUICK = machine.Machine(memory=1, available=1, cores=2, disk=1, free=1, kernel="6.1", spawn=0.002)


def like(**changed: float) -> machine.Machine:
    return msgspec.structs.replace(QUICK, **changed)


@pytest.mark.parametrize(
    ("seen", "patience"),
    [
        (None, 1),
        (QUICK, 1),
        # An agent of an earlier release measures nothing.
        (like(spawn=0.0), 1),
        (like(cores=1), 2),
        (like(spawn=0.0025), 1),
        (like(spawn=0.005), 5),
        (like(spawn=0.009), 5),
        (like(spawn=0.009, cores=1), 5),
    ],
)
def test_times_are_longer_where_the_machine_is_slow(seen: machine.Machine | None, patience: int) -> None:
    assert pace.patience(seen) == patience


def test_a_slow_machine_is_said_to_be_one() -> None:
    assert pace.too_slow(None) == pace.too_slow(QUICK) == pace.too_slow(like(late=0.1)) == ""
    assert "smallest program" in pace.too_slow(like(spawn=0.2))
    assert "than they have" in pace.too_slow(like(late=0.9))


def test_what_fails_on_it_is_not_said_to_fail_for_reasons_of_its_own() -> None:
    failing = observed.Part("api-a", observed.Phase.FAILING, reason="kube-scheduler is failing: exit code 1")
    waiting = observed.Part("api-b", observed.Phase.MAKING, reason="waits")
    parts = {"api-a": failing, "api-b": waiting}
    assert projection.excused(parts, "") == parts
    told = projection.excused(parts, "the machine is too slow")
    assert told["api-a"].reason == "the machine is too slow (kube-scheduler is failing: exit code 1)"
    assert told["api-a"].phase is observed.Phase.FAILING
    assert told["api-b"] == waiting


def test_leases_elections_and_graces_follow() -> None:
    digests = {name: "sha256:0" for names in control_plane_facts.FILES.values() for name in names}
    patient = dataclasses.replace(control_plane_facts.plane("1.37.2"), patience=5)
    manager = controller_manager.unit(patient, "a", digests).flags
    assert manager["leader-elect-lease-duration"] == "30s"
    assert manager["leader-elect-renew-deadline"] == "20s"
    assert manager["leader-elect-retry-period"] == "10s"
    assert manager["node-monitor-grace-period"] == "100s"
    member = etcd.unit(patient, "a", digests).flags
    config = edge.configuration(patient, 1)
    assert "timeout connect 5s\n  timeout check 3500ms\n" in config
    assert "local WORSE, BETTER = 10.0, 4.5\n" in edge.sessions(patient)
    assert "200, 2.5, 2, 3000" in edge.watch(1, patient.patience)
    assert (member["heartbeat-interval"], member["election-timeout"]) == ("500", "2500")


def test_ground_of_an_earlier_release_has_the_usual_times() -> None:
    kept = allocator.Allocation(
        id="c-1", cidr="198.19.0.0/26", vpc="vpc-1", vpc_cidr="10.0.0.0/16", api_vpc={}, private="", public="", port=1
    )
    earlier = {name: value for name, value in msgspec.to_builtins(kept).items() if name != "patience"}
    assert allocator.read(msgspec.json.encode(earlier)).patience == 1
    assert allocator.read(allocator.written(dataclasses.replace(kept, patience=5))).patience == 5


def test_what_timers_usually_are_late_by() -> None:
    assert measuring.usual(()) == 0.0
    assert measuring.usual([0.3]) == 0.3
    # One stall is none of the machine's habits.
    assert measuring.usual([0.0] * 59 + [9.0]) == 0.0
    assert measuring.usual([0.0] * 50 + [2.0] * 10) == 2.0


def test_a_program_is_started_and_timed() -> None:
    assert 0 < measuring.spawned(3) < 60
