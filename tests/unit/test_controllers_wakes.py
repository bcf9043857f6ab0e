"""Which keys of the controllers a change wakes: pure, for a cluster that is pretended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from tests.wire import small_api

from roadstead.controllers.nodes import certificates, drain, lifecycle, states, tokens
from roadstead.controllers.runtime import controller, reports, targets
from roadstead.controllers.system import applying, budget, state
from roadstead.kube import resources
from roadstead.kube.resources import Json

NODE = targets.ExpectedNode(
    instance="i-1", address="192.168.1.1", token_id="aaaaa1", token_secret="s" * 16, nodegroup="workers"
)
BARE = targets.ClusterTarget(key="one", servers=(), credentials=cast("Any", None), system=small_api.SYSTEM)
WITH_ONE = replace(BARE, nodes={"n1": NODE})
UPGRADED = replace(BARE, system=replace(small_api.SYSTEM, release="1.37.3"))

OBJECTS = applying.controller_of(lambda _: ())
DRAIN = drain.controller_of(drain.DrainTimes())


@dataclass
class View:
    """Two Nodes and a request are there; nothing is wanted but what a test says."""

    target: targets.ClusterTarget = BARE
    answering: bool = True
    there: Mapping[resources.Resource, tuple[str, ...]] = field(
        default_factory=lambda: {resources.NODES: ("n1", "n2"), resources.SIGNING_REQUESTS: ("csr-1",)}
    )

    def objects(self, resource: resources.Resource) -> Mapping[str, Json]:
        return {name: {} for name in self.there[resource]}

    def listed(self, resource: resources.Resource) -> bool:
        return resource in self.there


def woken(what: controller.Controller, change: controller.Change, target: targets.ClusterTarget = BARE) -> set[str]:
    return set(what.wakes(change, View(target)))


@pytest.mark.parametrize(
    ("what", "every"),
    [
        (OBJECTS, {"own", "system"}),
        (budget.CONTROLLER, {""}),
        (tokens.CONTROLLER, {""}),
        (certificates.CONTROLLER, {"csr-1"}),
        (lifecycle.CONTROLLER, {"n1", "n2"}),
        (states.CONTROLLER, {""}),
        (DRAIN, {"n1"}),
    ],
)
def test_at_the_beginning_everything_is_looked_at(what: controller.Controller, every: set[str]) -> None:
    assert woken(what, controller.Began(), WITH_ONE) == every


@pytest.mark.parametrize(
    ("what", "woken_by_nodes"),
    [
        (OBJECTS, set()),
        (budget.CONTROLLER, {""}),
        (tokens.CONTROLLER, {""}),
        (certificates.CONTROLLER, {"csr-1"}),
        (lifecycle.CONTROLLER, {"n1", "n2"}),
        (states.CONTROLLER, {""}),
        (DRAIN, {"n1"}),
    ],
)
def test_other_nodes_wake_what_depends_on_them(what: controller.Controller, woken_by_nodes: set[str]) -> None:
    """Also a node that is not wanted any more: what was known of its drain is over."""
    assert woken(what, controller.Retargeted(BARE, WITH_ONE), WITH_ONE) == woken_by_nodes
    assert woken(what, controller.Retargeted(WITH_ONE, BARE), BARE) == woken_by_nodes
    assert woken(what, controller.Retargeted(BARE, UPGRADED), UPGRADED) == ({"system"} if what is OBJECTS else set())


@pytest.mark.parametrize(
    ("what", "key"),
    [
        (budget.CONTROLLER, ""),
        (certificates.CONTROLLER, "x"),
        (lifecycle.CONTROLLER, "x"),
        (states.CONTROLLER, ""),
        (DRAIN, "x"),
    ],
)
def test_an_object_wakes_who_watches_it(what: controller.Controller, key: str) -> None:
    (resource,) = what.watches
    assert woken(what, controller.Changed(resource, "x")) == {key}


def test_cluster_dns_is_looked_at_when_its_objects_were_applied() -> None:
    assert woken(budget.CONTROLLER, controller.Reported(state.Applied(whole=True))) == {""}
    assert woken(budget.CONTROLLER, controller.Reported(reports.ApiReport(answering=True))) == set()
