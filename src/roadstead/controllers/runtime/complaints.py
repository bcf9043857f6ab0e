"""What is said of a controller's failures: each once, until it is another one or over."""

from __future__ import annotations

from roadstead.core import errors
from roadstead.core.loops import complaints

_USUAL = 1.0
"""Seconds: failures that are tried again sooner are usual while an API server starts, or another one writes."""


class QuietComplaints(complaints.Complaints[str]):
    """Of one controller in one cluster. That the API does not answer is not said here: the runtime does."""

    def failed(self, key: str, error: Exception, again: float) -> None:
        """`again`: seconds until it is tried again. Busy, and what is tried again soon, is not said."""
        if isinstance(error, errors.Error) and again < _USUAL:
            return
        complaint = type(error).__name__ + str(getattr(error, "facts", {}).get("status", ""))
        if self._faults.get(key) == complaint:
            return
        self._faults[key] = complaint
        if not isinstance(error, errors.Error):
            self._log.error("%s: a fault of ours", self._named(key), exc_info=error)
        elif not isinstance(error, errors.Busy):
            self._log.warning("%s: %s; tried again in %.1f s", self._named(key), error, again)
