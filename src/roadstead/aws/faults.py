"""What the errors of the house, and what the AWS API refuses itself, are to the clients of a service.

The codes are `wire.codes`': of each row the one that the operation's model names.
"""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.aws import calls
from roadstead.core import errors
from roadstead.wire import exchange, services, shapes, validate
from roadstead.wire.codes import choice, table


def known(service: services.Service, code: str) -> bool:
    """Whether a code can be the answer of a service."""
    return choice.source(service, code) is not None


def fault(service: services.Service, operation: shapes.Operation, error: errors.Error) -> exchange.Fault:
    """What an error of the house is to a client of a service.

    Of what failed inside a client is told nothing but that it did; the log has the rest.
    """
    if isinstance(error, exchange.RequestRefused):
        return error.fault
    if isinstance(error, calls.OperationRefused):
        status = choice.status(service, error.aws_code)
        return exchange.Fault(error.aws_code, error.message, status, status < 500, error.members)
    case: table.Case
    match error:
        case errors.Invalid():
            case = "invalid"
        case errors.Denied():
            case = "denied"
        case errors.NotFound():
            case = "not found"
        case errors.AlreadyExists():
            case = "already exists"
        case errors.Conflict():
            case = "conflict"
        case errors.Gone():
            case = "cursor"
        case errors.LimitExceeded():
            case = "limit"
        case errors.Busy():
            case = "busy"
        case _:
            return internal(service, operation)
    members = {key: value for key, value in error.facts.items() if key.lower() not in ("message", "code")}
    return choice.fault(service, operation, case, error.message, **members)


def invalid(
    service: services.Service, operation: shapes.Operation, problems: Sequence[validate.Problem]
) -> exchange.Fault:
    """What an input is to a client that the operation's model does not allow.

    ec2 has words of its own for what is missing, and codes for it and for types of instances, which models list.
    """
    missing = [problem.path for problem in problems if problem.shown == "null"]
    case: table.Case = "missing" if missing else "validation"
    if all(problem.shape == "InstanceType" for problem in problems):
        case = "no such type"
    said = validate.sentence(list(problems))
    if missing and service.protocol == "ec2":
        said = f"The request must contain the parameter {missing[0][:1].lower()}{missing[0][1:]}"
    return choice.fault(service, operation, case, said)


def internal(service: services.Service, operation: shapes.Operation | None) -> exchange.Fault:
    """That we failed. What and why is in the log, under the request's id."""
    said = "Roadstead failed to do this. Its log tells why, under the id of this request."
    return choice.fault(service, operation, "failed", said)


def not_built(service: services.Service, operation: shapes.Operation, instead: str = "") -> exchange.Fault:
    """What the model has and Roadstead has not. `instead`: a sentence about the service's, with a space in front."""
    said = (
        f"Roadstead does not do {service.name} {operation.name}. `roadstead api coverage` lists what it does.{instead}"
    )
    return choice.fault(service, None, "not built", said)
