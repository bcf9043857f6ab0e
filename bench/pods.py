"""Pods started at a steady rate, as a client sees it: from the request to Ready in a watch."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from dataclasses import dataclass, field

from testkit import kube, waiting

SPACE = "bench"
_PATH = f"/api/v1/namespaces/{SPACE}/pods"
_TIMEOUT = 90.0


@dataclass(frozen=True)
class Started:
    """Seconds of each pod."""

    times: tuple[float, ...]

    def within(self, percent: int) -> float:
        if percent == 50:
            return statistics.median(self.times)
        return statistics.quantiles(self.times, n=100, method="inclusive")[percent - 1]


@dataclass
class _Watched:
    api: kube.Api
    ready: dict[str, float] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def follow(self) -> None:
        for event in self.api.watch(f"{_PATH}?watch=1", _TIMEOUT):
            pod = event["object"]
            name = pod["metadata"]["name"]
            conditions = pod.get("status", {}).get("conditions", [])
            if any((one["type"], one["status"]) == ("Ready", "True") for one in conditions):
                self.ready.setdefault(name, time.monotonic())
            if event["type"] == "DELETED":
                self.gone.add(name)


def prepared(api: kube.Api) -> None:
    """The namespace, with the service account that its pods need."""
    if not api.get(f"/api/v1/namespaces/{SPACE}"):
        api.create("/api/v1/namespaces", {"metadata": {"name": SPACE}})
    waiting.until(
        "the service account", lambda: api.get(f"/api/v1/namespaces/{SPACE}/serviceaccounts/default"), 20, every=0.02
    )


def pod(name: str, image: str) -> kube.Json:
    return {
        "metadata": {"name": name},
        "spec": {
            "containers": [{"name": "c", "image": image, "imagePullPolicy": "Never"}],
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
        },
    }


def started(api: kube.Api, image: str, count: int, rate: float) -> Started:
    """`count` pods at `rate` a second, until all are Ready; none of them is left."""
    prepared(api)
    watched = _Watched(kube.Api(api.address, api.port, api.tls))
    threading.Thread(target=watched.follow, daemon=True).start()
    asked: dict[str, float] = {}
    began = time.monotonic()
    try:
        for number in range(count):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            name = f"p{number}-{int(rate)}"
            asked[name] = time.monotonic()
            api.create(_PATH, pod(name, image))
        waiting.until(f"{count} pods Ready", lambda: asked.keys() <= watched.ready.keys(), _TIMEOUT, every=0.02)
    finally:
        with contextlib.suppress(ConnectionError):
            api("DELETE", _PATH)
        waiting.until("the end of the pods", lambda: not api.get(_PATH).get("items"), _TIMEOUT, every=0.2)
    return Started(tuple(watched.ready[name] - at for name, at in asked.items()))
