"""What becomes of connections when API servers are not ready, frozen, or back: real proxies, small servers.

Cost: about 20 s, most of it stalls of 2 to 5 s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from testkit import waiting
from tests.live import edge_lab

pytestmark = pytest.mark.live

STALL = 2.0
BOUND = 3.0
"""Seconds: a stall that ends nothing, and how long nobody hangs."""
OUTSIDE, INSIDE = edge_lab.plane().endpoint.control, edge_lab.plane().endpoint.private


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[edge_lab.Edge]:
    with edge_lab.running(tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.fixture
def edge(running: edge_lab.Edge) -> Iterator[edge_lab.Edge]:
    yield running
    running.forget()


def test_a_stall_of_one_keeps_new_connections_away_and_ends_none(edge: edge_lab.Edge) -> None:
    before = edge.some_to_each()
    edge.etcd_stalls("a")
    began = time.monotonic()
    waiting.until("no new connection leads to it", lambda: edge.reached(12) == {"b", "c"}, STALL)
    time.sleep(began + STALL - time.monotonic())
    edge.etcd_goes_on("a")
    edge.until_all_are_ready()
    assert all(each.answers() for all_of_one in before.values() for each in all_of_one)


def test_what_does_not_come_back_loses_its_connections_in_time_and_nobody_else_any(edge: edge_lab.Edge) -> None:
    """The etcd of one, and another one itself."""
    before = edge.some_to_each()
    edge.etcd_stalls("a")
    with edge.frozen("b"):
        late = [each for letter in "ab" for each in before[letter]]
        waiting.until("theirs are ended", lambda: not any(each.is_open() for each in late), BOUND, every=0.02)
        assert edge.reached(12) == {"c"}
    assert all(each.answers() for each in before["c"])


def test_an_etcd_that_is_slow_to_come_back_has_more_time(edge: edge_lab.Edge) -> None:
    """It answers, though it reads nothing yet: its API server may be back any moment."""
    before = edge.some_to_each()
    edge.etcd_stalls("a", "slow")
    time.sleep(BOUND)
    assert all(each.answers() for each in before["a"])
    waiting.until("they are ended", lambda: not any(each.is_open() for each in before["a"]), BOUND)
    assert all(each.answers() for each in [*before["b"], *before["c"]])


def test_when_none_is_ready_all_that_answer_are_used_and_none_of_theirs_is_ended(edge: edge_lab.Edge) -> None:
    before = edge.some_to_each()
    edge.etcd_stalls("abc")
    waiting.until("none is ready", lambda: not edge.ready(), BOUND)
    assert edge.reached(12) == {"a", "b", "c"}
    with edge.frozen("c"):
        waiting.until("its connections are ended", lambda: not any(each.is_open() for each in before["c"]), BOUND)
        assert edge.reached(12) == {"a", "b"}
    # The first that is back is no reason to leave the others, which are back a little later.
    edge.etcd_goes_on("b")
    waiting.until("both proxies see it", lambda: edge.ready() == {"b"}, BOUND)
    edge.etcd_goes_on("ac")
    edge.until_all_are_ready()
    assert all(each.answers() for letter in "ab" for each in before[letter])


def test_a_source_with_thousands_of_idle_connections_shuts_nobody_out(edge: edge_lab.Edge) -> None:
    """As many as both proxies may have at all."""
    before = edge.some_to_each()
    with edge.called(OUTSIDE, 16_000, "127.0.0.66"):
        theirs = _unready_within(edge, BOUND)
        for address in (OUTSIDE, INSIDE):
            assert all(edge.connect(address, "127.0.0.77").answers() for _ in range(20))
        assert theirs == set()
        # By its own address it has no more than its share.
        assert edge.held(OUTSIDE, "127.0.0.66") <= 1000
    assert all(each.answers() for all_of_one in before.values() for each in all_of_one)


def test_many_sources_together_shut_out_neither_the_checks_nor_the_other_side_and_not_for_long(
    edge: edge_lab.Edge,
) -> None:
    before = edge.some_to_each()
    with edge.called(OUTSIDE, 450, *(f"127.0.6.{n}" for n in range(1, 41))):
        assert _unready_within(edge, BOUND) == set()
        assert all(edge.connect(INSIDE).answers() for _ in range(20))
        # Who says nothing has to go.
        waiting.until("there is room again", lambda: _can_connect(edge), 60)
    assert all(each.answers() for all_of_one in before.values() for each in all_of_one)


def _unready_within(edge: edge_lab.Edge, seconds: float) -> set[str]:
    """Servers that a proxy took for unready at any moment of that time: it is the log of both that tells."""
    began = [len(edge.log(number)) for number in (1, 2)]
    time.sleep(seconds)
    told = "".join(edge.log(number)[at:] for number, at in zip((1, 2), began, strict=True))
    return {letter for letter in edge_lab.LETTERS if f"api-{letter} is DOWN" in told} | (set("abc") - edge.ready())


def _can_connect(edge: edge_lab.Edge) -> bool:
    try:
        return edge.connect().answers()
    except OSError:
        # No room yet.
        return False


def test_one_that_comes_back_does_not_get_all_new_connections(edge: edge_lab.Edge) -> None:
    edge.some_to_each()
    edge.etcd_stalls("a")
    waiting.until("no new connection leads to it", lambda: edge.ready() == {"b", "c"}, BOUND)
    others = [edge.connect().letter for _ in range(20)]
    assert set(others) == {"b", "c"}
    edge.etcd_goes_on("a")
    waiting.until("it is ready again", lambda: edge.ready() == {"a", "b", "c"}, BOUND)
    assert [edge.connect().letter for _ in range(10)].count("a") < 8
