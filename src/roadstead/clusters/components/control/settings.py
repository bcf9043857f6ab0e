"""Settings of a control plane that EKS lets its users change: their values here, which nobody can change yet.

No flag sets them, so they are upstream's defaults. Source: `--help` of kube-apiserver and kube-controller-manager, 1.34
to 1.37, where they are the same; Kubernetes, Scheduler Configuration, "NodeResourcesFit". The words are those of EKS's
model.
"""

from __future__ import annotations

from typing import Any

_EVENT_TTL = "60m"
_NODE_PORTS = (30000, 32767)
_TERMINATED_PODS = 12500
_AUTOSCALER_SYNC = "15s"
_SCORING = "LeastAllocated"
_WEIGHTS = {"cpu": 1, "memory": 1}


def shown() -> dict[str, Any]:
    """The model's ControlPlaneConfigInfo: values, and as constraints that there are no others."""
    first, last = _NODE_PORTS
    weights = [{"name": name, "weight": weight} for name, weight in _WEIGHTS.items()]
    return {
        "kubeApiServerConfig": {
            "eventTtl": _only(_EVENT_TTL),
            "serviceNodePortRange": {
                "defaultValue": {"minPort": first, "maxPort": last},
                "constraints": {"minPort": _range(first), "maxPort": _range(last)},
            },
        },
        "kubeSchedulerConfig": {
            "nodeResourcesFit": {
                "scoringStrategy": {
                    "defaultValue": {"type": _SCORING, "resources": weights},
                    "constraints": {
                        "scoringStrategy": {"allowedValues": [_SCORING]},
                        "resources": {"name": {"allowedValues": list(_WEIGHTS)}, "weight": _range(1)},
                    },
                }
            }
        },
        "kubeControllerManagerConfig": {
            "podGcControllerConfig": {"terminatedPodGcThreshold": _only(_TERMINATED_PODS)},
            "horizontalPodAutoscalerControllerConfig": {"horizontalPodAutoscalerSyncPeriod": _only(_AUTOSCALER_SYNC)},
        },
    }


def _only(value: str | int) -> dict[str, Any]:
    return {"defaultValue": value, "constraints": _range(value)}


def _range(value: str | int) -> dict[str, Any]:
    return {"min": value, "max": value}
