"""From CreateCluster to ACTIVE, to nodes, to gone, with programs that end at any await and answers that are lost: at
the end nothing is left at the agent, in the store, or of what was allotted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from testkit.worlds import machine
from testkit.worlds import place as places
from testkit.worlds.place import CLUSTER, GROUP

from roadstead.clusters import observed, views
from roadstead.clusters.allocation import names
from roadstead.clusters.capacity import facts as carriers
from roadstead.contract import naming
from roadstead.contract.messages import desired
from roadstead.contract.messages import machine as machines
from roadstead.provider import engine_supply
from roadstead.store import keys

LONGEST = 60.0
"""Seconds; a second is usual."""
AWAITS = 110
"""Of a whole life there are about three times as many."""


def lived(story: Callable[[places.Place], Awaitable[None]], subnets: int = 24) -> None:
    async def whole() -> None:
        place = places.Place(subnets)
        await place.prepare()
        async with asyncio.timeout(LONGEST):
            await story(place)

    asyncio.run(whole())


async def life(place: places.Place) -> None:
    """Every step is tried until it is done: the knife falls once in all of it."""

    async def step(done: Callable[[], bool]) -> None:
        while not await place.until(done):
            place.store.knife = places.Knife()

    await place.want_cluster()
    await step(place.is_active(CLUSTER))
    await place.want_nodes(2)
    await step(place.is_active(GROUP))
    assert len(place.hosts()) == 7 + 2
    await place.want_nodes(2, deleting=True)
    await step(place.is_gone(GROUP))
    await place.want_cluster(deleting=True)
    await step(place.is_gone(CLUSTER))
    assert place.kept() == place.before


def test_a_whole_life_leaves_nothing() -> None:
    async def story(place: places.Place) -> None:
        await life(place)
        # What the provider knows of things that are gone they forget.
        made = place.ran[-1]
        assert not made._owners
        assert not made._groups
        assert not made._refused

    lived(story)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 3 * AWAITS, 13))
def test_cut_off_anywhere_it_goes_on_and_leaves_nothing(at: int, after: bool) -> None:
    async def story(place: places.Place) -> None:
        place.store.knife = places.Knife(at, after)
        await life(place)

    lived(story)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, AWAITS, 7))
def test_deleted_while_it_is_made_and_cut_off(at: int, after: bool) -> None:
    """Cut off while it is made; deletion is asked for before the next one begins, and is cut off itself."""

    async def story(place: places.Place) -> None:
        place.store.knife = places.Knife(at, after)
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        await place.want_cluster(deleting=True)
        place.store.knife = places.Knife(at // 2 + 1, after)
        if not await place.until(place.is_gone(CLUSTER)):
            place.store.knife = places.Knife()
            await place.until(place.is_gone(CLUSTER))
        assert place.kept() == place.before

    lived(story)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_answers_that_are_lost(every: int) -> None:
    """What was done and not answered is found by reading; with every answer lost, too."""

    async def story(place: places.Place) -> None:
        place.machine.loses = every
        await life(place)

    lived(story)


def test_made_again_under_its_name_at_once() -> None:
    async def story(place: places.Place) -> None:
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        first, secret = set(place.machine.records), next(iter(place.store.secrets.values())).value
        await place.want_cluster(deleting=True)

        def reborn() -> bool:
            if CLUSTER in place.store.desired:
                return False
            asyncio.get_running_loop().create_task(place.want_cluster())
            return True

        await place.until(reborn)
        await asyncio.sleep(0)
        await place.until(place.is_active(CLUSTER))
        ours = {place for place in set(place.machine.records) & first if place[1].startswith("c-")}
        assert not ours
        assert next(iter(place.store.secrets.values())).value != secret

    lived(story)


def test_a_cluster_whose_engine_is_being_made_can_be_deleted(caplog: pytest.LogCaptureFixture) -> None:
    """Building one takes many minutes. It is no failure."""

    class Making(machine.Supply):
        async def engines(self, release: str) -> object:  # type: ignore[override]
            raise engine_supply.Coming(f"the engine {release} is being fetched or built")

    async def story(place: places.Place) -> None:
        place.supply = Making(place.machine)
        await place.want_cluster()
        await place.until(lambda: any(key.kind == "ground" for key in place.store.desired))
        await place.until(lambda: "PartWaiting" in [event.reason for event in place.news(CLUSTER)])
        (news,) = [event.message for event in place.news(CLUSTER) if event.reason == "PartWaiting"]
        assert news == "access is still not ready: the engine 1.37.2 is being fetched or built"
        assert place.status(CLUSTER) == "CREATING"
        await place.want_cluster(deleting=True)
        await place.until(place.is_gone(CLUSTER))
        assert place.kept() == place.before

    lived(story)
    assert "tried again" not in caplog.text


def test_nodes_for_which_there_is_no_room_are_refused_alone() -> None:
    """Subnets of 64 addresses have room for the pods of one node each; others run, and nothing is told for ever."""

    async def story(place: places.Place) -> None:
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        await place.want_nodes(5)
        await place.until(lambda: place.status(GROUP) == "CREATE_FAILED")
        assert len([host for host in place.hosts() if host.startswith("i-")]) == 3
        await place.want_nodes(5, deleting=True)
        await place.until(place.is_gone(GROUP))
        await place.want_cluster(deleting=True)
        await place.until(place.is_gone(CLUSTER))
        assert place.kept() == place.before

    lived(story, subnets=26)


def test_a_node_whose_kubelet_ends_over_and_over_makes_its_nodegroup_degraded_until_it_is_well() -> None:
    async def story(place: places.Place) -> None:
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        await place.want_nodes(2)
        await place.until(place.is_active(GROUP))
        kubelet = next(key for key in place.machine.records if key[1].endswith("/kubelet"))
        place.machine.failing[kubelet] = "was ended by signal 9; starts again after a pause of 0.1 s"
        await place.passes(20)
        del place.machine.failing[kubelet]
        await place.passes(60)
        # A short failure: that it was not ready is told, and nothing follows from it.
        assert [event.reason for event in place.news(GROUP)][-2:] == ["PartNotReady", "PartReady"]
        assert place.status(GROUP) == "ACTIVE"

        for pause in range(40):
            place.machine.failing[kubelet] = f"exited with code 1; starts again after a pause of {pause} s"
            await place.passes(1)
        shown = views.nodegroup(place.state(GROUP))
        assert shown["status"] == "DEGRADED"
        (issue,) = shown["health"]["issues"]
        assert (issue["code"], len(issue["resourceIds"])) == ("NodeCreationFailure", 1)
        assert issue["message"].endswith(": kubelet is failing: exited with code 1")
        news = [event for event in place.news(GROUP) if event.reason in ("PartFailing", "Degraded")]
        assert all(event.message.endswith(": kubelet is failing: exited with code 1") for event in news)
        assert len(news) == 2

        del place.machine.failing[kubelet]
        await place.until(place.is_active(GROUP))
        assert views.nodegroup(place.state(GROUP))["health"]["issues"] == []
        assert [event.reason for event in place.news(GROUP)][-2:] == ["PartReady", "Ready"]

    lived(story)


def test_a_member_that_is_ended_over_and_over_is_an_issue_of_its_cluster_but_not_while_its_zone_is_down() -> None:
    async def story(place: places.Place) -> None:
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        scheduler = next(key for key in place.machine.records if key[1].endswith("api-b/kube-scheduler"))
        place.machine.zone("eu-central-1b", 1, "black")
        place.machine.failing[scheduler] = "exited with code 1; starts again at once"
        await place.passes(50)
        (waits,) = views.cluster(place.state(CLUSTER))["health"]["issues"]
        assert waits["message"] == "api-b: the zone eu-central-1b is cut off"
        assert "PartFailing" not in [event.reason for event in place.news(CLUSTER)]
        began = place.clock.now()
        back = False

        def failing() -> bool:
            """Meanwhile somebody else lets the zone come back."""
            nonlocal back
            if not back and place.clock.now() >= began + 40:
                back = True
                place.machine.zone("eu-central-1b", 2, "up")
            return "PartFailing" in [event.reason for event in place.news(CLUSTER)]

        await place.until(failing)
        assert place.clock.now() - began >= 40 + 30
        shown = views.cluster(place.state(CLUSTER))
        assert shown["status"] == "ACTIVE"
        assert [issue["message"] for issue in shown["health"]["issues"]] == [
            "api-b: kube-scheduler is failing: exited with code 1"
        ]
        del place.machine.failing[scheduler]
        await place.passes(40)
        assert views.cluster(place.state(CLUSTER))["health"]["issues"] == []

    lived(story)


def test_what_is_near_its_end_is_told_and_shown_for_as_long_as_it_is_so() -> None:
    """Of a host to whose it is, of the machine to everybody. Nobody is less ACTIVE for it."""
    near, disk = "is near its limit of 7168 processes and threads", "the machine's disk is near its end"
    seen = machines.Machine(memory=1 << 34, available=1 << 33, cores=4, disk=1 << 40, free=1 << 39, kernel="6.1")

    async def story(place: places.Place) -> None:
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        await place.want_nodes(1)
        await place.until(place.is_active(GROUP))
        host = next(key for key in place.machine.records if key[0] == "hosts" and ".i-" in key[1])
        place.machine.near[host] = (near,)
        await carriers.keep(place.store, msgspec.structs.replace(seen, near=(disk,)))
        await place.until(lambda: len(issues(place, GROUP)) == 2 and len(issues(place, CLUSTER)) == 1)
        (part,) = observed.read(place.store.observed[GROUP].body).parts
        assert [issue["message"] for issue in issues(place, GROUP)] == [f"{part.name} {near}", disk]
        assert [issue["resourceIds"] for issue in issues(place, GROUP)] == [[part.name], []]
        assert {issue["code"] for issue in issues(place, GROUP)} == {"LimitExceeded"}
        assert [(issue["code"], issue["message"]) for issue in issues(place, CLUSTER)] == [
            ("ResourceLimitExceeded", disk)
        ]
        assert (place.status(GROUP), place.status(CLUSTER)) == ("ACTIVE", "ACTIVE")
        del place.machine.near[host]
        await carriers.keep(place.store, seen)
        await place.until(lambda: not issues(place, GROUP) and not issues(place, CLUSTER))
        told = [(event.severity, event.reason, event.message) for event in place.news(GROUP)]
        assert sorted(each for each in told if each[1].startswith("NearLimit")) == sorted(
            [
                ("WARNING", "NearLimit", f"{part.name} {near}"),
                ("WARNING", "NearLimit", disk),
                ("NORMAL", "NearLimitOver", f"it is over that {part.name} {near}"),
                ("NORMAL", "NearLimitOver", f"it is over that {disk}"),
            ]
        )

    def issues(place: places.Place, key: keys.Key) -> list[dict[str, Any]]:
        shown = views.cluster(place.state(key)) if key == CLUSTER else views.nodegroup(place.state(key))
        found: list[dict[str, Any]] = shown["health"]["issues"]
        return found

    lived(story)


def test_why_a_cluster_is_not_there_yet_is_told_while_it_is_made() -> None:
    async def story(place: places.Place) -> None:
        await place.want_cluster()
        id = names.cluster(CLUSTER, place.store.desired[CLUSTER].created)
        etcd = ("units", f"{naming.host(id, 'etcd-a')}/etcd")
        place.machine.failing[etcd] = "exited with code 2; starts again after a pause of 30 s"
        await place.until(lambda: "PartFailing" in [event.reason for event in place.news(CLUSTER)])
        shown = views.cluster(place.state(CLUSTER))
        assert shown["status"] == "CREATING"
        assert [issue["message"] for issue in shown["health"]["issues"]] == [
            "etcd-a: etcd is failing: exited with code 2"
        ]
        told = [event.message for event in place.news(CLUSTER) if event.reason in ("PartWaiting", "PartFailing")]
        assert told == [
            "etcd-a is still not ready: etcd is failing: exited with code 2",
            "etcd-a: etcd is failing: exited with code 2",
        ]
        del place.machine.failing[etcd]
        await place.until(place.is_active(CLUSTER))

    lived(story)


def test_what_etcd_began_with_stays_what_it_is() -> None:
    """The agent refuses other content in one generation, and a seed may be made while the cluster is."""

    async def story(place: places.Place) -> None:
        def begins() -> set[str | None]:
            units = [record.spec for (kind, id), record in place.machine.records.items() if id.endswith("/etcd")]
            assert len(units) == 3
            assert all(isinstance(unit, desired.Unit) and unit.first is not None for unit in units)
            return {unit.files["seed.db"].blob for unit in units if isinstance(unit, desired.Unit)}

        place.seed = b"first"
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        assert begins() == {f"sha256:{hashlib.sha256(b'first').hexdigest()}"}
        place.seed = b"another"
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        assert begins() == {f"sha256:{hashlib.sha256(b'first').hexdigest()}"}

    lived(story)


def test_the_issuer_that_is_shown_is_the_one_in_tokens() -> None:
    async def story(place: places.Place) -> None:
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        state = await place.store.get(CLUSTER)
        assert state is not None
        shown = views.cluster(state)["identity"]["oidc"]["issuer"]
        units = (record.spec for (kind, _), record in place.machine.records.items() if kind == "units")
        servers = [unit for unit in units if isinstance(unit, desired.Unit) and unit.component == "kube-apiserver"]
        assert [unit.flags["service-account-issuer"] for unit in servers] == [shown] * 3

    lived(story)
