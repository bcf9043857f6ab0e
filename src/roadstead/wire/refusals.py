"""Why a signature is not accepted, and how each protocol says so.

The kinds have the names that the query protocol gives them (IAM User Guide, common errors). JSON services say
UnrecognizedClientException and InvalidSignatureException, ec2 AuthFailure: their clients look for those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from roadstead.core import errors
from roadstead.wire import exchange

Kind = Literal[
    "MissingAuthenticationToken",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "RequestExpired",
    "ExpiredToken",
]
_JSON: Mapping[Kind, tuple[str, int]] = {
    "MissingAuthenticationToken": ("MissingAuthenticationTokenException", 403),
    "IncompleteSignature": ("IncompleteSignatureException", 403),
    "InvalidClientTokenId": ("UnrecognizedClientException", 403),
    "SignatureDoesNotMatch": ("InvalidSignatureException", 403),
    "RequestExpired": ("InvalidSignatureException", 403),
    "ExpiredToken": ("ExpiredTokenException", 403),
}
_QUERY: Mapping[Kind, tuple[str, int]] = {
    "MissingAuthenticationToken": ("MissingAuthenticationToken", 403),
    "IncompleteSignature": ("IncompleteSignature", 400),
    "InvalidClientTokenId": ("InvalidClientTokenId", 403),
    "SignatureDoesNotMatch": ("SignatureDoesNotMatch", 403),
    "RequestExpired": ("SignatureDoesNotMatch", 403),
    "ExpiredToken": ("ExpiredToken", 403),
}
_EC2: Mapping[Kind, tuple[str, int]] = {
    **_QUERY,
    "MissingAuthenticationToken": ("AuthFailure", 401),
    "InvalidClientTokenId": ("AuthFailure", 401),
    "RequestExpired": ("RequestExpired", 400),
    "ExpiredToken": ("RequestExpired", 400),
}


class Refusal(errors.Denied):
    """A request whose signature is not accepted. The message tells what to do and nothing about the right one."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message, kind=kind)
        self.kind = kind

    def fault(self, protocol: exchange.Protocol) -> exchange.Fault:
        """The refusal in the words of a protocol."""
        table = _EC2 if protocol == "ec2" else _QUERY if protocol == "query" else _JSON
        code, status = table[self.kind]
        return exchange.Fault(code, self.message, status)
