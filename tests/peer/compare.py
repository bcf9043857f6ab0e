"""Cases against one peer: boto3 asks, and what comes is held against what AWS's model and reference say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import botocore.exceptions  # type: ignore[import-untyped]
import botocore.model  # type: ignore[import-untyped]
import botocore.parsers  # type: ignore[import-untyped]
import jmespath  # type: ignore[import-untyped]
from tests.peer import accounts_and_networks as others
from tests.peer import case, eks_cases, reading_cases

Kind = Literal["ok", "differs", "refused"]
QUICK = {"Delay": 0.05, "MaxAttempts": 100}

NOT_THERE = frozenset({"404", "InvalidAction", "NotImplemented", "UnknownOperationException"})
"""How a peer says that it has no such operation; beside the status 501."""

CASES: tuple[case.Case, ...] = (
    *(*others.SIGNATURES, *others.IDENTITIES, *others.NETWORKS),
    *(*eks_cases.CLUSTERS, *eks_cases.NODEGROUPS),
    *(*reading_cases.VPCS, *reading_cases.IDENTITIES, *reading_cases.CLUSTERS),
    *eks_cases.UNBUILT,
)


@dataclass(frozen=True)
class Outcome:
    """`refused`: the peer has no such operation, or no answer to this. `what`: where it differs, in a few words."""

    kind: Kind
    what: str = ""


OK = Outcome("ok")

Client = Callable[[str, str, case.Signed], Any]
"""boto3's client of a service, in a region, signing well or not."""


def run(client: Client, cases: tuple[case.Case, ...] = CASES) -> dict[str, Outcome]:
    """The outcome of every case by its name."""
    kept: dict[str, Any] = {}
    return {one.name: outcome(client(one.service, one.region, one.signed), one, kept) for one in cases}


def outcome(client: Any, one: case.Case, kept: dict[str, Any]) -> Outcome:
    try:
        asked = case.filled(one.asked, kept)
        holds = case.filled(one.want.holds, kept) if isinstance(one.want, case.Answer) else {}
    except KeyError as missing:
        return Outcome("refused", f"not reached: there is no {missing.args[0]}")
    try:
        answer = _ask(client, one, asked)
    except botocore.exceptions.ClientError as error:
        return of_fault(one.want, error.response)
    except botocore.exceptions.WaiterError as error:
        return Outcome("differs", str(error))
    except (botocore.exceptions.BotoCoreError, botocore.parsers.ResponseParserError, ValueError) as error:
        return Outcome("differs", f"an answer that botocore cannot read ({type(error).__name__})")
    found_at = {name: jmespath.search(place, answer) for name, place in one.keep.items()}
    kept.update({name: value for name, value in found_at.items() if value is not None})
    if isinstance(one.want, case.Fault):
        return Outcome("differs", f"says yes, where AWS says {' or '.join(one.want.codes)}")
    shape = None if one.how == "wait" else _output(client, one.operation)
    found = [*_unheld(one, holds, answer), *(strangers(shape, answer) if shape is not None else ())]
    return Outcome("differs", "; ".join(found)) if found else OK


def of_fault(want: case.Answer | case.Fault, response: Mapping[str, Any]) -> Outcome:
    """What a refusal is, where something was wanted."""
    code, status = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
    said = f"{code} ({status})" if code != str(status) else f"status {status}"
    if isinstance(want, case.Fault) and code in want.codes:
        return OK if status == want.status else Outcome("differs", f"{said}, where AWS's status is {want.status}")
    if status == 501 or code in NOT_THERE:
        return Outcome("refused", said)
    wanted = "an answer" if isinstance(want, case.Answer) else " or ".join(want.codes)
    return Outcome("differs", f"{said}, where AWS gives {wanted}")


def _ask(client: Any, one: case.Case, asked: Mapping[str, Any]) -> Any:
    match one.how:
        case "call":
            return getattr(client, one.operation)(**asked)
        case "wait":
            return client.get_waiter(one.operation).wait(**asked, WaiterConfig=QUICK)
        case "pages":
            return client.get_paginator(one.operation).paginate(**asked).build_full_result()


def _output(client: Any, method: str) -> Any:
    return client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).output_shape


def _unheld(one: case.Case, holds: Mapping[str, Any], answer: Any) -> Iterator[str]:
    """What does not hold, in words that are the same in each run."""
    told = one.want.holds if isinstance(one.want, case.Answer) else {}
    for place, wanted in holds.items():
        found = jmespath.search(place, answer)
        held = (
            isinstance(found, str) and wanted.fullmatch(found) is not None
            if isinstance(wanted, re.Pattern)
            else found == wanted
        )
        if not held:
            meant = wanted.pattern if isinstance(wanted, re.Pattern) else str(told[place]).replace("$", "the earlier ")
            yield f"{place} is {'missing' if found is None else found}, not {meant}"


def strangers(shape: botocore.model.Shape, value: Any, place: str = "") -> Iterator[str]:
    """What the model does not allow in an answer: required members that are missing, values outside an enum."""
    match shape.type_name:
        case "structure":
            for name in shape.required_members:
                if name not in value:
                    yield f"{place}{name} is missing"
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    yield from strangers(member, value[name], f"{place}{name}.")
        case "list":
            for each in value:
                yield from strangers(shape.member, each, place)
        case "map":
            for each in value.values():
                yield from strangers(shape.value, each, place)
        case "string" if shape.enum and value not in shape.enum:
            yield f"{place.rstrip('.')} is {value}, which is none of the model's"
