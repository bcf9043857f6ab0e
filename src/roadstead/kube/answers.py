"""An API server's refusal as one of our errors.

Source: Kubernetes API conventions, section "Response Status Kind".
"""

from __future__ import annotations

import msgspec

from roadstead.core import errors, foreign
from roadstead.kube import resources

_BY_STATUS: dict[int, type[errors.Error]] = {
    400: errors.Invalid,
    401: errors.Denied,
    403: errors.Denied,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Gone,
    413: errors.Invalid,
    422: errors.Invalid,
    429: errors.Busy,
    503: errors.Busy,
    504: errors.Busy,
}


def error(status: int, body: bytes, asked: str) -> errors.Error:
    """What to raise for an answer of that HTTP status; `asked` says which request it was.

    Facts: `status`, `reason` (the API's word, as `DisruptionBudget` or `AlreadyExists`) and `causes`, one sentence
    each, divided by `; `.
    """
    said = _status(body)
    reason = str(said.get("reason") or "")
    message = str(said.get("message") or body[:200].decode(errors="replace").strip() or f"HTTP {status}")
    causes = [cause for cause in (said.get("details") or {}).get("causes") or () if isinstance(cause, dict)]
    kind = _BY_STATUS.get(status, errors.Failed)
    if reason == "AlreadyExists":
        kind = errors.AlreadyExists
    elif reason in ("Expired", "Gone"):
        kind = errors.Gone
    return kind(
        foreign.bounded(f"{asked}: {message}"),
        status=status,
        reason=foreign.bounded(reason or ",".join(str(cause.get("reason", "")) for cause in causes)),
        causes=foreign.bounded("; ".join(str(cause.get("message", "")) for cause in causes)),
    )


def _status(body: bytes) -> resources.Json:
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return said if isinstance(said, dict) else {}
