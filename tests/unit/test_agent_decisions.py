"""Small decisions of the agent: who waits for whom, who gets which socket, what a job runs."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.agent import jobs, listeners
from roadstead.agent.kinds import groups
from roadstead.contract.messages import desired, observed
from roadstead.contract.messages import jobs as types
from roadstead.core import errors


def member(group: str | None = "etcd", run: bool = True) -> desired.Unit:
    return desired.Unit(engine="etcd", component="etcd", group=group, run=run)


def seen(id: str, phase: str) -> observed.Observation:
    return observed.Observation(kind="units", id=id, generation=1, phase=phase)  # type: ignore[arg-type]


Action = Literal["list", "add-learner", "promote", "remove"]
THREE = {"a/etcd": member(), "b/etcd": member(), "c/etcd": member()}


def test_a_member_goes_down_only_while_all_others_serve() -> None:
    ready = {id: seen(id, "ready") for id in THREE}
    assert groups.others_not_ready("a/etcd", THREE, ready) == []
    for phase in ("running", "failing", "pending", "making", "stopped"):
        assert groups.others_not_ready("a/etcd", THREE, {**ready, "c/etcd": seen("c/etcd", phase)}) == ["c/etcd"]
    assert groups.others_not_ready("a/etcd", THREE, {"b/etcd": ready["b/etcd"]}) == ["c/etcd"]


def test_members_that_shall_not_run_and_other_groups_do_not_count() -> None:
    units = {**THREE, "c/etcd": member(run=False), "d/other": member("other"), "e/free": member(None)}
    assert groups.others_not_ready("a/etcd", units, {"b/etcd": seen("b/etcd", "ready")}) == []
    assert groups.others_not_ready("e/free", units, {}) == []


@given(st.permutations(sorted(THREE)), st.lists(st.integers(0, 2), min_size=3, max_size=40))
def test_whatever_the_order_never_two_members_are_down(order: list[str], ticks: list[int]) -> None:
    """All three are asked to restart at once; each tick one looks, or the one that is down comes back."""
    phases = dict.fromkeys(THREE, "ready")
    waiting = set(THREE)
    for tick in ticks:
        id = order[tick]
        state = {key: seen(key, phase) for key, phase in phases.items()}
        if phases[id] == "making":
            phases[id] = "ready"
        elif id in waiting and not groups.others_not_ready(id, THREE, state):
            phases[id] = "making"
            waiting.discard(id)
        assert sum(phase != "ready" for phase in phases.values()) <= 1


def listener(process: str, user: int) -> desired.Listener:
    return desired.Listener(namespace="machine", address="127.0.0.1", port=1, process=process, user=user)


def test_sockets_go_to_the_process_by_name_and_user() -> None:
    opened = {"one": listener("porter", 900), "two": listener("porter", 900), "three": listener("serve", 900)}
    # As an earlier release would have it.
    opened["old"] = listener("porter", 800)
    assert list(listeners.chosen(opened, "porter", {900})) == ["one", "two"]
    assert list(listeners.chosen(opened, "porter", {900, 800})) == ["old", "one", "two"]
    assert listeners.chosen(opened, "nobody", {900, None}) == {}
    with pytest.raises(errors.Denied, match="are for another user"):
        listeners.chosen(opened, "porter", {1000})


def etcd_job(action: Action, **more: str) -> types.EtcdMember:
    return types.EtcdMember(
        host="h", unit="etcd", engine="etcd-3.6.16", action=action, endpoint="https://10.0.0.1:2379", **more
    )


def test_jobs_are_command_lines_of_installed_engines() -> None:
    image = types.ImageImport(host="h", engine="containerd-2.3.7", archive=f"sha256:{'0' * 64}")
    assert jobs.command(image, "/run/lent/x")[0] == "/engine/containerd-2.3.7/ctr"
    listed = jobs.command(types.ImageList(host="h", engine="containerd-2.3.7"))
    assert (listed[0], listed[-1]) == ("/engine/containerd-2.3.7/ctr", 'labels."io.cri-containerd.image"==managed')
    argv = jobs.command(etcd_job("add-learner", name="etcd-d", peer_url="https://10.0.0.4:2380", ca="ca.pem"))
    assert argv[0] == "/engine/etcd-3.6.16/etcdctl"
    assert "--cacert=/etc/units/etcd/ca.pem" in argv
    assert argv[-5:] == ["member", "add", "etcd-d", "--peer-urls=https://10.0.0.4:2380", "--learner"]
    assert jobs.command(etcd_job("promote", member="8e9e05c52164694d"))[-2:] == [
        "promote",
        "8e9e05c52164694d",
    ]


def test_why_a_job_failed_is_said_without_warnings() -> None:
    # As ctr of containerd 2.3.7 says it, shortened within its lines.
    said = """time="2026-11-30T05:00:11Z" level=warning msg="DEPRECATION: The support for cgroup v1 is deprecated."
unpacking example.com/foreign:1 (sha256:c265)...ctr: no match for platform in manifest sha256:c265: not found
"""
    assert jobs.last_words(said) == said.splitlines()[1]


@pytest.mark.parametrize("action", ["add-learner", "promote", "remove"])
def test_a_job_that_lacks_what_it_needs_is_refused(action: Action) -> None:
    with pytest.raises(errors.Invalid, match="needs"):
        jobs.command(etcd_job(action))
