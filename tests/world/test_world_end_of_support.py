"""The end of support in the world, by a clock that is turned: announced in time, updated one minor and one cluster at a
time, whatever was down meanwhile."""

from __future__ import annotations

import datetime as dt

import pytest
from testkit.worlds import parts
from tests.world import ending

from roadstead.clusters import spec, versions


@pytest.mark.parametrize(
    ("policy", "before", "end"), [("STANDARD", "2026-10-01", "2026-12-02"), ("EXTENDED", "2027-10-01", "2027-12-02")]
)
def test_a_cluster_is_updated_when_the_support_of_its_policy_ends(policy: str, before: str, end: str) -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP, policy=policy)
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
            await scene.until_day((dt.date.fromisoformat(end) - dt.timedelta(days=1)).isoformat())
            assert scene.said() == [f"SupportEnding 1.34 {days}" for days in (60, 30, 7, 1)]
            assert [
                (dt.date.fromisoformat(end) - dt.datetime.fromtimestamp(moment, dt.UTC).date()).days
                for _, moment in scene.told()
            ] == [60, 30, 7, 1]
            assert scene.shown() == ("ACTIVE", "1.34")
            await scene.tick(ending.DAY / 2 - 100.0)
            await scene.rest()
            # A minute before midnight nothing was begun.
            assert await scene.updates() == []
            await scene.tick(100.0)
            await scene.until(scene.runs("1.35"))
            await scene.rest()
        (update,) = await scene.updates()
        assert (update.type, update.status) == ("VersionUpdate", "Successful")
        assert update.parameters == (("Version", "1.35"), ("PlatformVersion", versions.find("1.35").platform))
        assert dt.datetime.fromtimestamp(update.created_at, dt.UTC).date().isoformat() == end
        assert scene.said()[4:] == [f"{ending.BEGUN} 1.34", f"{ending.DONE} 1.34"]
        (begun, _), (done, _) = scene.told()[4:]
        assert begun.message == (
            f"{policy.lower()} support of Kubernetes 1.34 has ended on {end}: the cluster is updated to 1.35; its "
            "nodes stay as they are"
        )
        assert begun.facts["update"] == update.id
        assert done.severity == "NORMAL"
        assert scene.cluster(ending.SHOP).support == policy

    ending.live(before, story)


def test_a_cluster_with_extended_support_stays_when_the_standard_one_ends() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP, policy="EXTENDED")
        async with scene.serve():
            await scene.until_day("2026-12-04")
        assert scene.shown() == ("ACTIVE", "1.34")
        assert scene.told() == []

    ending.live("2026-11-20", story)


@pytest.mark.parametrize(
    ("back", "said"),
    [
        ("2026-10-02", []),
        ("2026-10-05", ["SupportEnding 1.34 58"]),
        ("2026-11-20", ["SupportEnding 1.34 12"]),
        ("2026-12-01", ["SupportEnding 1.34 1"]),
        ("2026-12-02", [f"{ending.BEGUN} 1.34", f"{ending.DONE} 1.34"]),
    ],
)
def test_of_what_was_missed_the_latest_is_announced_once(back: str, said: list[str]) -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
        assert scene.told() == []
        scene.down_until(back)
        for _ in range(3):
            # Also one that was started anew says nothing twice.
            async with scene.serve():
                await scene.rest()
        assert scene.said() == said

    ending.live("2026-09-01", story)


def test_what_was_announced_late_goes_on_in_time() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
            await scene.until_day("2026-11-30")
        assert scene.said() == ["SupportEnding 1.34 20", "SupportEnding 1.34 7"]

    ending.live("2026-11-12", story)


def test_after_years_it_comes_by_one_minor_after_the_other_to_the_newest_and_stays() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
        scene.down_until("2029-01-01")
        for _ in range(2):
            async with scene.serve():
                await scene.until(scene.runs("1.37"))
                await scene.rest()
        done = [f"{word} {minor}" for minor in ("1.34", "1.35", "1.36") for word in (ending.BEGUN, ending.DONE)]
        assert scene.said() == [*done, "SupportEnded 1.37"]
        assert [update.parameters[0][1] for update in await scene.updates()] == ["1.35", "1.36", "1.37"]
        (event, _) = scene.told()[-1]
        assert event.severity == "WARNING"
        assert "the cluster has the newest version here, and stays" in event.message
        assert scene.world.worst == 1

    ending.live("2026-09-01", story)


def test_the_newest_says_beforehand_that_it_will_stay() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP, version="1.37")
        async with scene.serve():
            await scene.until(scene.runs("1.37"))
            await scene.until_day("2027-12-03")
        assert scene.said() == ["SupportEnding 1.37 7", "SupportEnding 1.37 1", "SupportEnded 1.37"]
        assert all("stays" in event.message for event, _ in scene.told())
        assert await scene.updates() == []

    ending.live("2027-11-24", story)


def test_two_clusters_are_updated_one_after_the_other() -> None:
    async def story(scene: ending.Scene) -> None:
        both = (ending.SHOP, ending.named("other"))
        for key in both:
            await scene.wanted(key)
        most = 0
        async with scene.serve():
            await scene.until(lambda: all(scene.runs("1.34", key)() for key in both))
            scene.down_until("2026-12-02")
        async with scene.serve():

            def done() -> bool:
                nonlocal most
                most = max(most, sum(scene.shown(key)[0] == "UPDATING" for key in both))
                return all(scene.runs("1.35", key)() for key in both)

            await scene.until(done)
            await scene.rest()
        assert most == 1
        for key in both:
            assert scene.said(key) == [f"{ending.BEGUN} 1.34", f"{ending.DONE} 1.34"]

    ending.live("2026-09-01", story)


def test_an_update_that_never_ends_keeps_others_waiting_for_an_hour() -> None:
    async def story(scene: ending.Scene) -> None:
        first, second = sorted((ending.SHOP, ending.named("other")))
        for key in (first, second):
            await scene.wanted(key)
        async with scene.serve():
            await scene.until(lambda: scene.runs("1.34", first)() and scene.runs("1.34", second)())
        scene.down_until("2026-12-02")
        # Its first API server never comes to be ready again.
        scene.world.fates = iter([parts.Fate() for _ in spec.MEMBERS] + [parts.Fate(start=1e9)])
        async with scene.serve():
            await scene.until(lambda: scene.shown(first)[0] == "UPDATING")
            await scene.rest()
            assert scene.shown(second) == ("ACTIVE", "1.34")
            await scene.tick(3600.0)
            await scene.until(scene.runs("1.35", second))
            assert scene.shown(first)[0] == "UPDATING"

    ending.live("2026-09-01", story)


def test_a_cluster_that_is_deleted_or_still_made_is_left_alone() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
        scene.down_until("2026-12-02")
        # What takes long to go, and one whose parts never come to be ready.
        scene.world.fates = iter([parts.Fate(arrivals=(), start=1e9) for _ in range(200)])
        await scene.changed(ending.SHOP, deleting=True)
        await scene.wanted(ending.named("new"))
        async with scene.serve():
            await scene.rest()
            assert (scene.shown()[0], scene.shown(ending.named("new"))[0]) == ("DELETING", "CREATING")
        assert scene.told() == scene.told(ending.named("new")) == []
        assert await scene.updates() == []

    ending.live("2026-09-01", story)


def test_a_cluster_that_is_deleted_while_it_is_updated_keeps_nobody_waiting() -> None:
    async def story(scene: ending.Scene) -> None:
        first, second = sorted((ending.SHOP, ending.named("other")))
        for key in (first, second):
            await scene.wanted(key)
        async with scene.serve():
            await scene.until(lambda: scene.runs("1.34", first)() and scene.runs("1.34", second)())
        scene.down_until("2026-12-02")
        scene.world.fates = iter([parts.Fate() for _ in spec.MEMBERS] + [parts.Fate(start=1e9)])
        async with scene.serve():
            await scene.until(lambda: scene.shown(first)[0] == "UPDATING")
            await scene.rest()
            await scene.changed(first, deleting=True)
            await scene.until(scene.runs("1.35", second))

    ending.live("2026-09-01", story)


def test_a_namesake_of_a_cluster_that_is_gone_is_told_for_itself() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        async with scene.serve():
            await scene.until(lambda: len(scene.told()) == 1)
            await scene.changed(ending.SHOP, deleting=True)
            await scene.until(lambda: ending.SHOP not in scene.store.desired)
            await scene.wanted(ending.SHOP)
            await scene.until(lambda: len(scene.told()) == 2)
        assert scene.said() == ["SupportEnding 1.34 12"] * 2

    ending.live("2026-11-20", story)


def test_an_engine_that_comes_late_is_waited_for_and_nothing_is_begun() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        scene.world.coming = frozenset({versions.find("1.35").patch})
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
            scene.down_until("2026-12-02")
            await scene.tick(ending.DAY)
            await scene.rest()
            assert scene.shown() == ("ACTIVE", "1.34")
            assert scene.told() == []
            scene.world.coming = frozenset()
            await scene.tick(60.0)
            await scene.until(scene.runs("1.35"))

    ending.live("2026-09-01", story)


def test_an_engine_that_is_not_to_be_had_is_told_of_and_tried_again_ever_more_rarely() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        scene.world.refuses = frozenset({versions.find("1.35").patch})
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
        scene.down_until("2026-12-02")
        async with scene.serve():
            await scene.until(lambda: len(scene.told()) == 1)
            for pause in (600.0, 1200.0):
                before = len(scene.told())
                await scene.tick(pause - 60.0)
                await scene.rest()
                assert len(scene.told()) == before
                await scene.tick(60.0)
                await scene.until(lambda before=before: len(scene.told()) > before)  # type: ignore[misc]
        # The cluster was not touched, and one that is started anew remembers.
        assert scene.cluster(ending.SHOP).version == "1.34"
        assert scene.said() == [f"{ending.FAILED} 1.34"] * 3
        assert "tried again in 10 min: there is no engine 1.35" in scene.told()[0][0].message
        assert scene.told()[0][0].severity == "WARNING"
        async with scene.serve():
            await scene.rest()
            assert len(scene.told()) == 3
            scene.world.refuses = frozenset()
            await scene.tick(2400.0)
            await scene.until(scene.runs("1.35"))
            await scene.rest()
        assert scene.said()[3:] == [f"{ending.BEGUN} 1.34", f"{ending.DONE} 1.34"]

    ending.live("2026-09-01", story)


def test_an_update_that_fails_is_told_of_and_tried_again() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
        scene.down_until("2026-12-02")
        scene.world.vanishing = True
        async with scene.serve():
            await scene.until(lambda: len(scene.told()) == 2)
            assert scene.said() == [f"{ending.BEGUN} 1.34", f"{ending.FAILED} 1.34"]
            assert scene.shown() == ("ACTIVE", "1.34")
            assert "there is no engine 1.35.4" in scene.told()[1][0].message
            scene.world.vanishing, scene.world.refuses = False, frozenset()
            await scene.tick(600.0)
            await scene.until(scene.runs("1.35"))
            await scene.rest()
        assert scene.said()[2:] == [f"{ending.BEGUN} 1.34", f"{ending.DONE} 1.34"]
        assert [update.status for update in await scene.updates()] == ["Failed", "Successful"]

    ending.live("2026-09-01", story)


def test_who_extends_the_support_in_time_has_it_announced_anew() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        async with scene.serve():
            await scene.until(lambda: len(scene.told()) == 1)
            await scene.changed(ending.SHOP, support="EXTENDED")
            await scene.until_day("2026-12-03")
            assert scene.shown() == ("ACTIVE", "1.34")
            assert len(scene.told()) == 1
            scene.down_until("2027-11-30")
            await scene.tick(ending.DAY)
            await scene.rest()
        assert scene.said() == ["SupportEnding 1.34 3", "SupportEnding 1.34 1"]
        assert [event.facts["ends"] for event, _ in scene.told()] == ["2026-12-02", "2027-12-02"]

    ending.live("2026-11-29", story)


def test_who_is_quicker_than_the_update_has_what_they_asked_for() -> None:
    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
        scene.down_until("2026-12-02")
        scene.world.meanwhile = lambda: scene.changed(ending.SHOP, support="EXTENDED")
        async with scene.serve():
            await scene.rest()
        assert scene.world.meanwhile is None
        assert (scene.shown(), scene.cluster(ending.SHOP).support) == (("ACTIVE", "1.34"), "EXTENDED")
        assert scene.told() == []
        assert await scene.updates() == []

    ending.live("2026-09-01", story)


def test_a_cut_off_anywhere_tells_and_updates_once() -> None:
    """serve ends after each so many ticks, and is started again."""

    async def story(scene: ending.Scene) -> None:
        await scene.wanted(ending.SHOP)
        async with scene.serve():
            await scene.until(scene.runs("1.34"))
        scene.down_until("2026-12-02")
        for number in range(60):
            async with scene.serve():
                for _ in range(number % 5):
                    await scene.tick()
        assert scene.said() == [f"{ending.BEGUN} 1.34", f"{ending.DONE} 1.34"]
        assert len(await scene.updates()) == 1

    ending.live("2026-09-01", story)


def test_nodegroups_of_an_unsupported_cluster_stay_and_are_scaled() -> None:
    async def story(scene: ending.Scene) -> None:
        # The newest of this Roadstead, which has nowhere to go.
        await scene.wanted(ending.SHOP, version="1.37")

        async with scene.serve():
            await scene.until(scene.runs("1.37"))
            assert scene.said() == ["SupportEnded 1.37"]
            await scene.nodes(1)
            await scene.until(lambda: scene.has_nodes(1))
            await scene.nodes(3)
            await scene.until(lambda: scene.has_nodes(3))

    ending.live("2029-01-01", story)
