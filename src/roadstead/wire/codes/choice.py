"""The code that a service gives in a case, and its status: of the table's candidates, by model and documents."""

from __future__ import annotations

from roadstead.wire import exchange, services, shapes
from roadstead.wire.codes import documented, table


def source(service: services.Service, code: str) -> str | None:
    """Where it is known from that a service gives this code; None when it is not known at all."""
    own = table.family(service.protocol)
    if service.error(code) is not None:
        return "its model"
    if own == "ec2" and code in documented.EC2:
        return "Error codes for the Amazon EC2 API"
    if code in documented.COMMON and (own != "json" or code not in documented.FORMS_ONLY):
        return "common errors"
    if seen := documented.SEEN[own].get(code):
        return seen[1]
    return "Roadstead's own" if code in documented.OURS[own] else None


def status(service: services.Service, code: str, otherwise: int = 400) -> int:
    """The status of a code: the model's, else that of the documents."""
    own = table.family(service.protocol)
    shape = service.error(code)
    if shape is not None and shape.error is not None:
        return shape.error.status
    if own == "ec2" and code in documented.EC2:
        return documented.EC2_STATUS.get(code, 400)
    told = documented.COMMON.get(code, ())
    if seen := documented.SEEN[own].get(code):
        told = (seen[0],)
    return otherwise if otherwise in told or not told else told[0]


def chosen(service: services.Service, operation: shapes.Operation | None, case: table.Case) -> str:
    """The code for a case: the first of its row that the operation's model names, else the first that is known."""
    codes = table.rows(service.protocol, service.name)[case].codes
    if operation is not None:
        own = {name for shape in operation.errors for name in (shape.name, shape.error.code if shape.error else "")}
        if found := next((code for code in codes if code in own), None):
            return found
    return next((code for code in codes if source(service, code) is not None), codes[-1])


def fault(
    service: services.Service,
    operation: shapes.Operation | None,
    case: table.Case,
    message: str,
    /,
    **members: object,
) -> exchange.Fault:
    """What a service answers in a case, with the code's own status."""
    code = chosen(service, operation, case)
    row = table.rows(service.protocol, service.name)[case]
    told = row.status if case == "not built" else status(service, code, row.status)
    return exchange.Fault(code, message, told, told < 500, members)
