"""kube-scheduler: facts to a unit. Sources: its `--help`, 1.34 to 1.37; KubeSchedulerConfiguration v1.

With a configuration file the flags of leadership, certificates and ports count; `--kubeconfig`, `--profiling` and the
rates of its client are read from the file alone.
"""

from __future__ import annotations

import json

from roadstead.clusters.components import apiserver, facts
from roadstead.clusters.components.control import files, leaders
from roadstead.contract.messages import desired

UNIT = "kube-scheduler"
PORT = 10259
_CONFIG = "config.yaml"
_IN_FILE = ("kubeconfig", "profiling")


def unit(plane: facts.ControlPlane, letter: str, digests: facts.Digests) -> desired.Unit:
    """One of three, on the host of the API server that it talks to."""
    assert any(each.letter == letter for each in plane.members)
    return desired.Unit(
        engine=plane.engines.kubernetes,
        component=UNIT,
        flags={
            **{name: value for name, value in leaders.flags(UNIT, plane.patience).items() if name not in _IN_FILE},
            "config": files.at(UNIT, _CONFIG),
        },
        environment={**plane.share, **leaders.ENVIRONMENT},
        files=files.files(digests, {_CONFIG: configuration()}, {}),
        ready=leaders.probe(PORT),
        # Six more processes that start beside the API servers would take the processors from them, and only wait.
        after=apiserver.UNIT,
        group=f"{plane.id}.scheduler",
        stop_timeout=5.0,
    )


def configuration() -> str:
    """config.yaml, written as JSON, which is YAML.

    A pod that found no node is looked at again when something has changed, but not before its pause is over: at most
    2 s, not 10. What waits for its first node would else wait for up to 10 s beside it.
    """
    whole = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": files.at(UNIT, "kubeconfig"), "qps": 200, "burst": 400},
        "enableProfiling": False,
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 2,
    }
    return json.dumps(whole, indent=1) + "\n"
