"""Which nodes archives go to, and what is said of them there."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.contract.messages import jobs, observed
from roadstead.core import errors
from roadstead.machine.load import archives, command, nodes


def test_nodes_are_the_hosts_of_instances_of_that_cluster() -> None:
    hosts: dict[str, object] = dict.fromkeys(("c-1.i-0a", "c-1.api-a", "c-1.edge", "c-11.i-0b", "c-1.i-00"))
    assert nodes.hosts_of("c-1", {"hosts": hosts}) == ("c-1.i-00", "c-1.i-0a")
    assert nodes.hosts_of("c-2", {"hosts": hosts}) == ()
    units = {"c-1.i-0a/containerd": {"spec": {"engine": "containerd-2.3.7"}}}
    assert nodes.containerds(("c-1.i-0a",), {"units": units}) == {"c-1.i-0a": "containerd-2.3.7"}
    with pytest.raises(errors.Busy, match=r"node c-1\.i-00 is still being made"):
        nodes.containerds(("c-1.i-00",), {"units": units})


def test_a_call_waits_longer_for_more(tmp_path: Path) -> None:
    read = []
    for name, size in (("small.tar", 1), ("large.tar", 6 * 2**30)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
        read.append(archives.Archive(Path("app.tar.gz"), "oci", ("app:1",), tmp_path / name))
    small, large = (nodes.patience([one]) for one in read)
    # Longer than the agent gives the job, also when a restarted agent begins it again.
    assert small >= 2 * jobs.longest(1)
    assert large >= 2 * jobs.longest(6 * 2**30) > 2 * 3600
    assert nodes.patience(read) >= small + large


def test_a_line_says_how_it_went() -> None:
    done = nodes.Loaded("c-1.i-0a", "x.tar", ("app:1", "app:2"), "done", 1.24, "")
    assert command.line(done) == "c-1.i-0a\tapp:1, app:2\tloaded in 1.2 s"
    failed = nodes.Loaded("c-1.i-0a", "x.tar", ("app:1",), "failed", 1.24, "ctr ended with 1: no space left")
    assert command.line(failed) == "c-1.i-0a\tapp:1\tfailed: ctr ended with 1: no space left"


def test_what_the_node_does_not_have_is_not_loaded() -> None:
    archive = archives.Archive(Path("x.tar"), "oci", ("docker.io/library/x:1", "me.io/y:2"), Path("x.tar"))
    look = observed.JobResult(id="l", type="image-list", state="done")
    assert nodes.lacks(archive, frozenset(("docker.io/library/x:1", "me.io/y:2", "other")), look) == ""
    said = nodes.lacks(archive, frozenset(("docker.io/library/x:1", "y:2")), look)
    assert said == "containerd imported it, and has no me.io/y:2 that pods could use"
    failed = observed.JobResult(id="l", type="image-list", state="failed", reason="ctr ended with 1: away")
    assert "is not known: ctr ended with 1: away" in nodes.lacks(archive, frozenset(), failed)
