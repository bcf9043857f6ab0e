"""For all tests: what the programs do at their start."""

from __future__ import annotations

from roadstead.core import structs


def pytest_collection_finish() -> None:
    structs.prepare()
