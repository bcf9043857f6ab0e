"""The controller: it tells of each ConfigMap of a cluster."""

from __future__ import annotations

from roadstead.controllers.runtime import controller, outbox
from roadstead.kube import resources


def _work(cluster: controller.Cluster) -> controller.Work:
    async def work(key: str) -> None:
        cluster.outbox.notice(outbox.Notice(reason="Counted", message=f"{key} is counted"))

    return work


CONTROLLER = controller.Controller(
    named="the count of {}".format,
    watches=(resources.CONFIG_MAPS,),
    wakes=controller.each_object(resources.CONFIG_MAPS, lambda target: target.nodes),
    work=_work,
)
