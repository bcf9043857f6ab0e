"""Why a signature is not accepted; `codes.table` has how each protocol says so."""

from __future__ import annotations

from roadstead.core import errors
from roadstead.wire import exchange
from roadstead.wire.codes import table

Kind = table.Signature


class Refusal(errors.Denied):
    """A request whose signature is not accepted. The message tells what to do and nothing about the right one."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message, kind=kind)
        self.kind = kind

    def fault(self, protocol: exchange.Protocol) -> exchange.Fault:
        """The refusal in the words of a protocol."""
        return table.unserved(protocol, self.kind, self.message)
