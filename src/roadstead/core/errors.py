"""The handful of errors the house raises.

An error carries facts: one sentence for the human (what, where, why, what to do about it) and the details that
a program may want. Those who answer (the agent's API, the AWS API, the CLI) render the same facts in their own form.

    Error
    |- Invalid         the request cannot be right, whoever sends it        400
    |- Denied          this caller may not                                  403
    |- NotFound        what is named does not exist                         404
    |- Conflict        another generation, or something else has the place  409
    |  `- AlreadyExists
    |- Gone            it was there and has been compacted away             410
    |- LimitExceeded   more than there is room for                          429
    |- Busy            not now; the same request may be sent again          503
    `- Failed          a command or a call outside failed; output is kept   500
"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """A failure with its facts. `str(error)` is the sentence; `facts` are the details, as text."""

    code: ClassVar[str] = "Error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = {key: str(value) for key, value in facts.items()}


class Invalid(Error):
    """The request cannot be right, whoever sends it."""

    code = "Invalid"
    status = 400


class Denied(Error):
    """This caller may not."""

    code = "Denied"
    status = 403


class NotFound(Error):
    """What is named does not exist."""

    code = "NotFound"
    status = 404


class Conflict(Error):
    """The state is another one than was expected: another generation, or something else has the place."""

    code = "Conflict"
    status = 409


class AlreadyExists(Conflict):
    """What was to be new is there."""

    code = "AlreadyExists"


class Gone(Error):
    """What is asked for was there and is compacted away: whoever follows lists again."""

    code = "Gone"
    status = 410


class LimitExceeded(Error):
    """More than there is room for, or than a quota has."""

    code = "LimitExceeded"
    status = 429


class Busy(Error):
    """Not now: the same request may be sent again."""

    code = "Busy"
    status = 503


class Failed(Error):
    """A command or a call outside failed; its output is among the facts."""

    code = "Failed"
