"""What a loop says of work that failed: refusals of the world as warnings, faults of the program with traces."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

from roadstead.core import errors

Key = TypeVar("Key")


class Complaints(Generic[Key]):
    """For the `failed` of a Loop. `named`: what the work of a key is called in the log."""

    def __init__(self, log: logging.Logger, named: Callable[[Key], str]) -> None:
        self._log = log
        self._named = named
        self._faults: dict[Key, str] = {}
        """The fault that each key had last, as long as it has one."""

    def failed(self, key: Key, error: Exception, again: float) -> None:
        """One of core.errors is a warning. Any other is an error, with its trace as often as it is another one."""
        what = self._named(key)
        if isinstance(error, errors.Error):
            self._faults.pop(key, None)
            self._log.warning("%s: %s; tried again in %.1f s", what, error, again)
            return
        where = traceback.extract_tb(error.__traceback__)[-1:]
        fault = f"{error!r} {where}"
        fresh = self._faults.get(key) != fault
        self._faults[key] = fault
        self._log.error(
            "%s: %r, a fault of the program; tried again in %.1f s",
            what,
            error,
            again,
            exc_info=error if fresh else None,
        )

    def forget(self, key: Key) -> None:
        """The key is gone."""
        self._faults.pop(key, None)
