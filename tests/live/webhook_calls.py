"""Objects that a webhook of the bundle looks at: created without a trace, once or all the time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from testkit import kube
from tests.live import bundle, shared

_PAUSE = 0.1
"""Seconds between two tries."""
_PATIENCE = 4.0


def create(cluster: shared.Cluster, one: bundle.Object, timeout: float = 30.0) -> kube.Answer:
    """What becomes of a ConfigMap."""
    with cluster.api(timeout) as api:
        return api.ask("POST", kube.path("configmaps", namespace=bundle.NAMESPACE), one, {"dryRun": "All"})


@dataclass
class Tries:
    """When each ended, in seconds since the first began, and whether it was good."""

    all: list[tuple[float, bool]] = field(default_factory=list)

    @property
    def good(self) -> list[float]:
        return [at for at, was in self.all if was]

    @property
    def last_bad(self) -> float:
        """0 where none was."""
        return max((at for at, was in self.all if not was), default=0.0)

    def gap(self, until: float) -> float:
        """The longest time without a good one."""
        return max(later - earlier for earlier, later in zip([0.0, *self.good], [*self.good, until], strict=True))


@contextlib.contextmanager
def trying(cluster: shared.Cluster) -> Iterator[Tries]:
    """Meanwhile one is created after the other, as patiently as clients are."""
    tries, ended = Tries(), threading.Event()
    began = time.monotonic()

    def write() -> None:
        while not ended.wait(_PAUSE):
            try:
                good = create(cluster, bundle.config_map("mutate"), _PATIENCE).status < 300
            except OSError:
                good = False
            tries.all.append((time.monotonic() - began, good))

    writing = threading.Thread(target=write, name="webhooks are called")
    writing.start()
    try:
        yield tries
    finally:
        ended.set()
        writing.join()
