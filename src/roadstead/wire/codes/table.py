"""Which code a service has for a case: one table, its rows by family of protocols, with what single services differ in.

A row lists candidates: the first that the operation's model names is taken, else the first that the service is known to
give (`choice`). Its status counts where neither the model nor a document tells one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from roadstead.wire import exchange
from roadstead.wire.codes import documented

Signature = Literal[
    "MissingAuthenticationToken",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "RequestExpired",
    "ExpiredToken",
]
"""Why it is not believed who asks; named as the query protocol names them."""
Case = Literal[
    Signature,
    "http",  # no HTTP that can be read, or a coding of the body that is not taken
    "too large",
    "no operation",  # of this name, path or version
    "no action",
    "not built",
    "malformed",  # not of the form, or not of the type, that the model asks for
    "unknown parameter",
    "missing",  # what the model requires
    "no such type",  # of instances
    "validation",  # what the model's constraints do not allow
    "invalid",
    "denied",
    "not found",
    "already exists",
    "conflict",
    "limit",
    "busy",
    "failed",
    "cursor",  # a token for more of a list that is not ours, or of another list
    "mismatch",  # an idempotency token that came before with another request
]


@dataclass(frozen=True, slots=True)
class Row:
    """The codes of a case, of which `choice.chosen` takes one for a service, in this order; and the HTTP status."""

    codes: tuple[str, ...]
    status: int


Rows = Mapping[Case, Row]


def _row(status: int, *codes: str) -> Row:
    return Row(codes, status)


_JSON: Rows = {
    "MissingAuthenticationToken": _row(403, "MissingAuthenticationTokenException"),
    "IncompleteSignature": _row(403, "IncompleteSignatureException"),
    "InvalidClientTokenId": _row(403, "UnrecognizedClientException"),
    "SignatureDoesNotMatch": _row(403, "InvalidSignatureException"),
    "RequestExpired": _row(403, "InvalidSignatureException"),
    "ExpiredToken": _row(403, "ExpiredTokenException"),
    "http": _row(400, "MalformedHttpRequestException"),
    "too large": _row(413, "RequestEntityTooLargeException"),
    "no operation": _row(404, "UnknownOperationException"),
    "no action": _row(404, "UnknownOperationException"),
    "not built": _row(501, "UnsupportedOperationException"),
    "malformed": _row(400, "SerializationException"),
    "unknown parameter": _row(400, "SerializationException"),
    "missing": _row(400, "ValidationException"),
    "no such type": _row(400, "ValidationException"),
    "validation": _row(400, "ValidationException"),
    "invalid": _row(400, "InvalidParameterException", "ValidationException"),
    "denied": _row(403, "AccessDeniedException"),
    "not found": _row(404, "ResourceNotFoundException", "NotFoundException", "ValidationException"),
    "already exists": _row(409, "ResourceAlreadyExistsException", "ResourceInUseException", "ValidationException"),
    "conflict": _row(409, "ResourceInUseException", "ConflictException", "ValidationException"),
    "limit": _row(400, "ResourceLimitExceededException", "LimitExceededException", "ThrottlingException"),
    "busy": _row(503, "ServiceUnavailableException", "ServiceUnavailable"),
    "failed": _row(500, "ServerException", "InternalFailure"),
    "cursor": _row(400, "InvalidNextTokenException", "InvalidParameterException", "ValidationException"),
    "mismatch": _row(400, "InvalidParameterException", "ValidationException"),
}
_QUERY: Rows = {
    "MissingAuthenticationToken": _row(403, "MissingAuthenticationToken"),
    "IncompleteSignature": _row(400, "IncompleteSignature"),
    "InvalidClientTokenId": _row(403, "InvalidClientTokenId"),
    "SignatureDoesNotMatch": _row(403, "SignatureDoesNotMatch"),
    "RequestExpired": _row(403, "SignatureDoesNotMatch"),
    "ExpiredToken": _row(403, "ExpiredToken"),
    "http": _row(400, "MalformedHttpRequestException"),
    "too large": _row(413, "RequestEntityTooLargeException"),
    "no operation": _row(400, "InvalidAction"),
    "no action": _row(400, "MissingAction"),
    "not built": _row(501, "UnsupportedOperation"),
    "malformed": _row(400, "MalformedInput"),
    "unknown parameter": _row(400, "MalformedInput"),
    "missing": _row(400, "ValidationError"),
    "no such type": _row(400, "ValidationError"),
    "validation": _row(400, "ValidationError"),
    "invalid": _row(400, "InvalidInput", "ValidationError"),
    "denied": _row(403, "AccessDenied"),
    "not found": _row(404, "NoSuchEntity", "ValidationError"),
    "already exists": _row(409, "EntityAlreadyExists", "AlreadyExists", "ValidationError"),
    "conflict": _row(
        409, "DeleteConflict", "EntityTemporarilyUnmodifiable", "ConcurrentModification", "ValidationError"
    ),
    "limit": _row(400, "LimitExceeded", "Throttling"),
    "busy": _row(503, "ServiceUnavailable"),
    "failed": _row(500, "ServiceFailure", "InternalFailure"),
    "cursor": _row(400, "InvalidNextToken", "ValidationError"),
    "mismatch": _row(400, "IdempotentParameterMismatchError", "TokenAlreadyExistsException", "ValidationError"),
}
_EC2: Rows = {
    "MissingAuthenticationToken": _row(403, "MissingAuthenticationToken"),
    "IncompleteSignature": _row(400, "IncompleteSignature"),
    "InvalidClientTokenId": _row(401, "AuthFailure"),
    "SignatureDoesNotMatch": _row(403, "SignatureDoesNotMatch"),
    "RequestExpired": _row(400, "RequestExpired"),
    "ExpiredToken": _row(400, "RequestExpired"),
    "http": _row(400, "MalformedHttpRequestException"),
    "too large": _row(413, "RequestEntityTooLargeException"),
    "no operation": _row(400, "InvalidAction"),
    "no action": _row(400, "MissingAction"),
    "not built": _row(501, "UnsupportedOperation"),
    "malformed": _row(400, "InvalidParameterValue"),
    "unknown parameter": _row(400, "UnknownParameter"),
    "missing": _row(400, "MissingParameter"),
    "no such type": _row(400, "InvalidInstanceType"),
    "validation": _row(400, "InvalidParameterValue"),
    "invalid": _row(400, "InvalidParameterValue"),
    "denied": _row(403, "UnauthorizedOperation"),
    "not found": _row(400, "InvalidParameterValue"),
    "already exists": _row(400, "InvalidParameterValue"),
    "conflict": _row(400, "IncorrectState"),
    "limit": _row(400, "ResourceLimitExceeded"),
    "busy": _row(503, "Unavailable"),
    "failed": _row(500, "InternalError"),
    "cursor": _row(400, "InvalidNextToken"),
    "mismatch": _row(400, "IdempotentParameterMismatch"),
}
_FAMILIES: Mapping[documented.Family, Rows] = {"json": _JSON, "query": _QUERY, "ec2": _EC2}


def _validation(*codes: str) -> Rows:
    row = _row(400, *codes)
    return {"missing": row, "no such type": row, "validation": row}


_OWN: Mapping[str, Rows] = {
    # Its model has no ValidationException.
    "eks": _validation("InvalidParameterException"),
    "eks-auth": _validation("InvalidParameterException"),
    "servicediscovery": {
        **_validation("InvalidInput"),
        "invalid": _row(400, "InvalidInput"),
        "not found": _row(404, "NamespaceNotFound", "ServiceNotFound", "InstanceNotFound", "ResourceNotFoundException"),
        "already exists": _row(
            400, "NamespaceAlreadyExists", "ServiceAlreadyExists", "DuplicateRequest", "InvalidInput"
        ),
        "conflict": _row(400, "ResourceInUse", "DuplicateRequest", "InvalidInput"),
        "limit": _row(400, "ResourceLimitExceeded", "RequestLimitExceeded"),
        "failed": _row(500, "InternalFailure"),
        "cursor": _row(400, "InvalidInput"),
        "mismatch": _row(400, "DuplicateRequest", "InvalidInput"),
    },
    "appmesh": {
        **_validation("BadRequestException"),
        "invalid": _row(400, "BadRequestException"),
        "denied": _row(403, "ForbiddenException"),
        "not found": _row(404, "NotFoundException"),
        "already exists": _row(409, "ConflictException", "ResourceInUseException"),
        "conflict": _row(409, "ConflictException", "ResourceInUseException"),
        "limit": _row(400, "LimitExceededException", "TooManyRequestsException"),
        "failed": _row(500, "InternalServerErrorException"),
        "cursor": _row(400, "BadRequestException"),
        "mismatch": _row(409, "ConflictException", "BadRequestException"),
    },
}


def family(protocol: exchange.Protocol) -> documented.Family:
    """query and ec2 are families of their own; all others have the codes of JSON."""
    return protocol if protocol in ("query", "ec2") else "json"


def rows(protocol: exchange.Protocol, service: str = "") -> Rows:
    """The rows of a service that is spoken to in a protocol."""
    return {**_FAMILIES[family(protocol)], **_OWN.get(service, {})}


def unserved(protocol: exchange.Protocol, case: Case, message: str) -> exchange.Fault:
    """What is answered before it is known which service is asked."""
    row = rows(protocol)[case]
    # A service that speaks JSON at one path says 400: there is nothing wrong with the path.
    told = 400 if case == "no operation" and protocol in ("json-1.0", "json-1.1") else row.status
    # The last of a row is of no single service's model.
    return exchange.Fault(row.codes[-1], message, told, told < 500)
