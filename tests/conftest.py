"""For all tests: what the programs do at their start, and that no example is timed: the machine may be busy."""

from __future__ import annotations

import hypothesis

from roadstead.core import structs

hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


def pytest_collection_finish() -> None:
    structs.prepare()
