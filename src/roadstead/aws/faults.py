"""Which codes each AWS service has for the errors of the house, and for what the front desk refuses itself.

A row lists candidates: the first that the operation's model names is taken, else the first of the row. Codes that a
service's model lacks must be among those that the protocol's "common errors" have (EKS, IAM and EC2 API references,
"Common Errors"); the registry checks every table at the start. ec2's model names no errors at all: its codes are from
the EC2 User Guide, "Error codes".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from roadstead.aws import calls
from roadstead.core import errors
from roadstead.wire import exchange, services, shapes, validate

Codes = tuple[str, ...]

COMMON = frozenset(
    """AccessDenied AccessDeniedException InternalFailure InternalError InternalServerError InvalidAction
    InvalidParameterCombination InvalidParameterValue InvalidQueryParameter MalformedQueryString MissingAction
    MissingParameter OptInRequired RequestLimitExceeded ServiceUnavailable ServiceUnavailableException Throttling
    ThrottlingException UnsupportedOperation UnsupportedOperationException UnknownOperationException ValidationError
    ValidationException""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Table:
    """The codes of one service, by what they are for."""

    invalid: Codes
    denied: Codes
    not_found: Codes
    already_exists: Codes
    conflict: Codes
    limit: Codes
    busy: Codes
    failed: Codes
    validation: Codes
    """An input that the model does not allow."""
    cursor: Codes
    """A token for more of a list that is not ours, or of another list."""
    mismatch: Codes
    """An idempotency token that came before with another request."""
    unsupported: Codes = ("UnsupportedOperationException",)
    """An operation that the model has and Roadstead has not."""

    def rows(self) -> Iterable[Codes]:
        return (
            *(self.invalid, self.denied, self.not_found, self.already_exists, self.conflict, self.limit, self.busy),
            *(self.failed, self.validation, self.cursor, self.mismatch, self.unsupported),
        )


_STATUS: Mapping[str, int] = {"DryRunOperation": 412}
"""Of codes that models tell no status of, and that are not 400."""
_JSON = Table(
    invalid=("InvalidParameterException", "ValidationException"),
    denied=("AccessDeniedException",),
    not_found=("ResourceNotFoundException", "NotFoundException", "ValidationException"),
    already_exists=("ResourceAlreadyExistsException", "ResourceInUseException", "ValidationException"),
    conflict=("ResourceInUseException", "ConflictException", "ValidationException"),
    limit=("ResourceLimitExceededException", "LimitExceededException", "ThrottlingException"),
    busy=("ServiceUnavailableException",),
    failed=("ServerException", "InternalFailure"),
    validation=("ValidationException",),
    cursor=("InvalidNextTokenException", "InvalidParameterException", "ValidationException"),
    mismatch=("InvalidParameterException", "ValidationException"),
)
_EKS = dataclasses.replace(_JSON, validation=("InvalidParameterException", "ValidationException"))
"""The service of the EKS API has no ValidationException in its model."""
_QUERY = Table(
    invalid=("InvalidInput", "ValidationError"),
    denied=("AccessDenied",),
    not_found=("NoSuchEntity", "ValidationError"),
    already_exists=("EntityAlreadyExists", "AlreadyExists", "ValidationError"),
    conflict=("DeleteConflict", "EntityTemporarilyUnmodifiable", "ConcurrentModification", "ValidationError"),
    limit=("LimitExceeded", "Throttling"),
    busy=("ServiceUnavailable",),
    failed=("ServiceFailure", "InternalFailure"),
    validation=("ValidationError",),
    cursor=("InvalidNextToken", "ValidationError"),
    mismatch=("IdempotentParameterMismatchError", "TokenAlreadyExistsException", "ValidationError"),
    unsupported=("UnsupportedOperation",),
)
_EC2 = Table(
    invalid=("InvalidParameterValue",),
    denied=("UnauthorizedOperation",),
    not_found=("InvalidParameterValue",),
    already_exists=("InvalidParameterValue",),
    conflict=("IncorrectState",),
    limit=("RequestLimitExceeded",),
    busy=("Unavailable",),
    failed=("InternalError",),
    validation=("InvalidParameterValue",),
    cursor=("InvalidNextToken",),
    mismatch=("IdempotentParameterMismatch",),
    unsupported=("UnsupportedOperation",),
)
_OWN: Mapping[str, Table] = {
    "eks": _EKS,
    "servicediscovery": Table(
        invalid=("InvalidInput",),
        denied=("AccessDeniedException",),
        not_found=("NamespaceNotFound", "ServiceNotFound", "InstanceNotFound", "ResourceNotFoundException"),
        already_exists=("NamespaceAlreadyExists", "ServiceAlreadyExists", "DuplicateRequest", "InvalidInput"),
        conflict=("ResourceInUse", "DuplicateRequest", "InvalidInput"),
        limit=("ResourceLimitExceeded", "RequestLimitExceeded"),
        busy=("ServiceUnavailableException",),
        failed=("InternalFailure",),
        validation=("InvalidInput",),
        cursor=("InvalidInput",),
        mismatch=("DuplicateRequest", "InvalidInput"),
    ),
    "appmesh": Table(
        invalid=("BadRequestException",),
        denied=("ForbiddenException",),
        not_found=("NotFoundException",),
        already_exists=("ConflictException", "ResourceInUseException"),
        conflict=("ConflictException", "ResourceInUseException"),
        limit=("LimitExceededException", "TooManyRequestsException"),
        busy=("ServiceUnavailableException",),
        failed=("InternalServerErrorException",),
        validation=("BadRequestException",),
        cursor=("BadRequestException",),
        mismatch=("ConflictException", "BadRequestException"),
    ),
}


def table(service: services.Service) -> Table:
    """The table of a service: its own, else that of its protocol."""
    if own := _OWN.get(service.name):
        return own
    match service.protocol:
        case "ec2":
            return _EC2
        case "query":
            return _QUERY
        case _:
            return _JSON


def known(service: services.Service, code: str) -> bool:
    """Whether a code can be the answer of a service."""
    return service.protocol == "ec2" or code in COMMON or service.error(code) is not None


def chosen(service: services.Service, operation: shapes.Operation | None, codes: Codes) -> str:
    """Of a row the code that the operation's model names, else the first that the service has."""
    if operation is not None:
        own = {name for shape in operation.errors for name in (shape.name, shape.error.code if shape.error else "")}
        if found := next((code for code in codes if code in own), None):
            return found
    return next((code for code in codes if known(service, code)), codes[-1])


def fault(service: services.Service, operation: shapes.Operation, error: errors.Error) -> exchange.Fault:
    """What an error of the house is to a client of a service.

    Of what failed inside a client is told nothing but that it did; the log has the rest.
    """
    if isinstance(error, exchange.Refused):
        return error.fault
    if isinstance(error, calls.Refused):
        status = _STATUS.get(error.aws_code, 400)
        return exchange.Fault(error.aws_code, error.message, status, members=error.members)
    rows = table(service)
    match error:
        case errors.Invalid():
            codes, status = rows.invalid, 400
        case errors.Denied():
            codes, status = rows.denied, 403
        case errors.NotFound():
            codes, status = rows.not_found, 404
        case errors.AlreadyExists():
            codes, status = rows.already_exists, 409
        case errors.Conflict():
            codes, status = rows.conflict, 409
        case errors.Gone():
            codes, status = rows.cursor, 400
        case errors.LimitExceeded():
            codes, status = rows.limit, 400
        case errors.Busy():
            codes, status = rows.busy, 503
        case _:
            return internal(service, operation)
    members = {key: value for key, value in error.facts.items() if key.lower() not in ("message", "code")}
    return exchange.Fault(chosen(service, operation, codes), error.message, status, status < 500, members)


def invalid(
    service: services.Service, operation: shapes.Operation, problems: Sequence[validate.Problem]
) -> exchange.Fault:
    """What an input is to a client that the operation's model does not allow.

    ec2 has codes of its own for what is missing, and for instance types that there are not, which models list.
    """
    code = chosen(service, operation, table(service).validation)
    if service.protocol == "ec2":
        missing = [problem.path for problem in problems if problem.shown == "null"]
        if missing:
            name = missing[0][:1].lower() + missing[0][1:]
            return exchange.Fault("MissingParameter", f"The request must contain the parameter {name}")
        if all(problem.shape == "InstanceType" for problem in problems):
            code = "InvalidInstanceType"
    return exchange.Fault(code, validate.sentence(list(problems)))


def internal(service: services.Service, operation: shapes.Operation | None) -> exchange.Fault:
    """That we failed. What and why is in the log, under the request's id."""
    said = "Roadstead failed to do this. Its log tells why, under the id of this request."
    return exchange.Fault(chosen(service, operation, table(service).failed), said, 500, sender=False)
