"""The Roadstead of a run and its cluster, made as a customer would; gone at the end, also of a run that is killed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.conformance import images
from tests.live import conftest, shared, world
from tests.live import service as services

from roadstead.clusters.components import registries

_TOKEN_SECONDS = 240.0
"""A new token this often: clients read its file again each minute, and one is good for 900 s."""


@contextlib.contextmanager
def running(folder: Path, version: str, nodes: int, archive: Path) -> Iterator[shared.Cluster]:
    """With the images on all nodes. `version`: a minor."""
    conftest.sweep_namespaces()
    settings = folder / "registries.json"
    settings.write_bytes(registries.written(registries.Registries(mirrors={images.MIRRORED: (images.ADDRESS,)})))
    more = () if version in services.ENGINES else (version,)
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(services.running_service(folder, more, registries=settings))
        stack.enter_context(world.names(service.netns, world.NAMES))
        outside = stack.enter_context(world.beyond(service.netns))
        stack.enter_context(images.registry(outside, archive, folder))
        made = shared.Cluster(service, archive, archive)
        shared.make(made, nodes, version)
        made.load_image()
        stack.enter_context(_logged_in(made))
        yield made


@contextlib.contextmanager
def _logged_in(cluster: shared.Cluster) -> Iterator[None]:
    """The kubeconfig's token is always a good one."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(_TOKEN_SECONDS):
            with contextlib.suppress(AssertionError):
                # On a machine that is very busy the next one will do.
                cluster.service.forget_tokens()
                cluster.keep_token()

    thread = threading.Thread(target=work, name="tokens")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
