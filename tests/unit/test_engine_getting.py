"""Several engines side by side: in which order, how many, what is said before, and what ends them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.engine import build, cache, catalog, process, progress
from roadstead.engine import settings as engine_settings
from roadstead.machine import engine as command
from roadstead.machine.services import getting

GIB = 1 << 30
ETCD = ("etcd", "etcdctl", "etcdutl")


@pytest.fixture
def job(tmp_path: Path) -> getting.Job:
    """Engines come from a folder, into a cache of its own."""
    environment = {
        "ROADSTEAD_CACHE": str(tmp_path / "cache"),
        "ROADSTEAD_ENGINE_PATH": str(tmp_path / "own"),
        "PATH": os.environ["PATH"],
    }
    return getting.Job("path", engine_settings.from_environment(environment), "amd64")


def folder(at: Path, components: tuple[str, ...], says: str) -> None:
    at.mkdir(parents=True)
    for component in components:
        (at / component).write_text(f"#!/bin/sh\n{says}\n")


def test_how_many_at_once() -> None:
    assert getting.at_once(1, 64 * GIB) == 1
    assert getting.at_once(2, 2 * GIB) == 1
    assert getting.at_once(2, 7 * GIB) == 2
    assert getting.at_once(64, 512 * GIB) == 3


def test_the_longest_comes_first_and_what_runs_others_last(job: getting.Job) -> None:
    assert getting.order(("seed", "pause", "etcd", "1.37", "etcd"), job) == ("1.37", "etcd", "pause", "seed")
    with pytest.raises(errors.NotFound):
        getting.order(("nothing",), job)


def test_every_engine_that_is_built_has_an_effort() -> None:
    built = [engine for engine in catalog.load().engines if engine.build is not None]
    assert built
    assert all(engine.effort > 0 for engine in built)


def test_it_is_said_before_how_long_it_may_take(job: getting.Job) -> None:
    anyhow = getting.Job(None, job.given, "amd64")
    said = getting.announced(("1.37", "etcd", "seed", "busybox"), anyhow, 2)
    assert said.startswith("2 engines are not here yet: what cannot be downloaded is built from source")
    total = sum(catalog.resolve(job.given.catalog, spec, "amd64").engine.effort for spec in ("1.37", "etcd"))
    assert f"about {total / 120:.0f} minutes in all with 2 processors" in said
    assert "about a minute" in getting.announced(("pause",), anyhow, 2)
    # Nothing is built: nothing is to be said.
    assert getting.announced(("busybox", "seed"), anyhow, 2) == ""
    assert getting.announced(("1.37",), getting.Job("cache", job.given, "amd64"), 2) == ""


def test_all_are_got_in_the_order_in_which_they_were_named(job: getting.Job, tmp_path: Path) -> None:
    folder(tmp_path / "own" / "etcd-3.6.16", ETCD, "echo etcd Version: 3.6.16")
    folder(tmp_path / "own" / "coredns-1.15.0", ("coredns",), "echo CoreDNS-1.15.0")
    heard: list[progress.Progress] = []
    made = getting.get(("coredns", "etcd", "coredns"), job, heard.append, 2)
    assert [one.name for one in made] == ["coredns", "etcd", "coredns"]
    assert {news.engine for news in heard} == {"etcd-3.6.16", "coredns-1.15.0"}


def test_what_one_raises_is_raised_and_leaves_nothing(job: getting.Job, tmp_path: Path) -> None:
    folder(tmp_path / "own" / "etcd-3.6.16", ETCD, "echo etcd Version: 3.6.15")
    with pytest.raises(errors.Failed, match=r"should be version 3\.6\.16"):
        getting.get(("seed", "etcd"), job, lambda _: None, 1)
    assert not list((tmp_path / "cache").glob("work/*"))


def test_what_the_distribution_does_instead_of_is_left_out_among_others(job: getting.Job, tmp_path: Path) -> None:
    folder(tmp_path / "own" / "etcd-3.6.16", ETCD, "echo etcd Version: 3.6.16")
    folder(tmp_path / "own" / "runc-1.5.3", ("runc",), "echo runc version 1.1.0")
    for width in (1, 2):
        heard: list[progress.Progress] = []
        made = getting.get(("runc", "etcd"), job, heard.append, width)
        assert [one.name for one in made] == ["etcd"]
        # In no order: with a width of two, either of the two may be the last to speak.
        assert any("the distribution's runc is used instead" in news.text for news in heard)
    with pytest.raises(errors.Failed, match=r"should be version 1\.5\.3"):
        getting.get(("runc",), job, lambda _: None, 1)


def test_whoever_waits_for_another_process_ends_when_told_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        with (
            cache.locked(tmp_path, "x", lambda _: None),
            pytest.raises(errors.Failed, match="told to stop"),
            cache.locked(tmp_path, "x", lambda _: os.close(writing), reading),
        ):
            pytest.fail("two have the lock")
    finally:
        os.close(reading)


def test_a_command_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """Whoever asked for several is told at once of one that failed, not when a build of ten minutes is over."""
    reading, writing = os.pipe()
    heard = []

    def line(text: str) -> None:
        heard.append(text)
        os.close(writing)

    try:
        with pytest.raises(errors.Failed, match="was told to stop"):
            process.run(
                ["sh", "-c", "echo begun; exec sleep 600"],
                folder=tmp_path,
                environment={"PATH": os.environ["PATH"]},
                line=line,
                timeout=900,
                stop=reading,
            )
    finally:
        os.close(reading)
    assert heard == ["begun"]


def test_packages_are_counted_and_words_of_go_are_not() -> None:
    heard: list[progress.Progress] = []
    counted = build.Counted(progress.Teller("x-1", heard.append), 2000)
    for line in ("go: downloading a.b/c v1", "internal/abi", "fmt"):
        counted(line)
    assert [news.text.partition(", ")[2] for news in heard] == [
        "0 of 2000 packages: go: downloading a.b/c v1",
        "1 of 2000 packages: internal/abi",
        "2 of 2000 packages: fmt",
    ]


def test_several_are_shown_in_one_line() -> None:
    assert command.shortened(["kubernetes: 1 of 9"], 40) == "kubernetes: 1 of 9"
    assert command.shortened(["a" * 50, "b" * 50], 23) == "a" * 10 + " | " + "b" * 10
    assert len(command.shortened(["a" * 50] * 3, 20)) <= 20
