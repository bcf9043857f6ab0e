"""A node that is forgotten is served no more, and nothing goes on in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roadstead.agent.hosts import wanted
from roadstead.agent.pods import pods
from roadstead.contract.messages import desired
from roadstead.core import instance

NODE = desired.Host(
    role="node",
    privilege="privileged",
    zone="a",
    legs=(desired.Leg(network="vpc", address="10.0.0.4", prefixes=("10.0.0.16/28",)),),
    hostname="n0",
)


class NoKernel:
    """In place of the thread that works with the kernel: there is nothing to mend."""

    async def __call__(self, _: Callable[..., Any], *__: Any, **___: Any) -> Any:
        return ()


def test_a_forgotten_node_leaves_no_task_and_no_reader(tmp_path: Path) -> None:
    places = instance.Instance("t", tmp_path / "state", tmp_path / "run", tmp_path / "log")
    wanted.pods(places.host("n0")).mkdir(parents=True)

    async def life() -> None:
        async with asyncio.TaskGroup() as tasks:
            served = pods.Pods(places, NoKernel(), lambda _: NODE, tasks.create_task)  # type: ignore[arg-type]  # no kernel
            await served.listen("n0")
            await asyncio.sleep(0)
            loop = asyncio.get_running_loop()
            before = len(loop._selector.get_map())  # type: ignore[attr-defined]
            await served.forget("n0")
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(loop._selector.get_map()) == before - 1, "its socket is still waited for"  # type: ignore[attr-defined]
        # The group ends by itself: no task of the node's is left in it.

    asyncio.run(asyncio.wait_for(life(), 10))
