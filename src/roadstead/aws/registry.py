"""The operations there are: collected from services, held against the models, counted.

Built once in `serve` and passed on; a program with an operation that its model lacks does not start.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from roadstead.aws import calls, faults, paging
from roadstead.aws.authorization import declarations
from roadstead.clusters import provider
from roadstead.controllers.runtime import controller
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.store import interface, kinds
from roadstead.wire import services, shapes
from roadstead.wire.codes import table

SERVICES = (
    "eks",
    "eks-auth",
    "iam",
    "sts",
    "ec2",
    "logs",
    "cloudtrail",
    "servicediscovery",
    "appmesh",
    "elbv2",
    "cloudformation",
    "autoscaling",
    "roadstead",
)
"""Every service that the AWS API knows by its model."""

Column = Literal["behaves", "answers empty", "refused"]


@dataclass(frozen=True)
class Bound:
    """An operation that can be called."""

    service: services.Service
    operation: shapes.Operation
    handler: calls.Handler
    pages: paging.Rule | None
    authorization: calls.Authorization
    notes: Mapping[str, str]


@dataclass(frozen=True)
class States:
    """States that a life cycle of ours has, to be held against an enum of a model."""

    service: str
    shape: str
    states: frozenset[str]


class Reconciler(Protocol):
    """Works until it is cancelled."""

    async def run(self) -> None:
        """Until it is cancelled."""
        ...


@dataclass(frozen=True)
class ReconcilerFacts:
    """What reconcilers are made of. `now`: seconds since 1970; `clock`: what they wait by."""

    store: interface.Store
    provider: provider.Provider
    now: Callable[[], float]
    clock: clocks.Clock


@dataclass(frozen=True)
class Service:
    """What `serve` is given of a service: each folder of `aws` that is one has it as `service.SERVICE`."""

    operations: tuple[types.ModuleType, ...]
    """Modules with marked functions."""
    states: tuple[States, ...] = ()
    kinds: tuple[kinds.Kind[Any], ...] = ()
    """Of what the service keeps in the store."""
    reconcilers: tuple[Callable[[ReconcilerFacts], Reconciler], ...] = ()
    """What keeps its resources as they are wanted; made and run by serve where there is an agent."""
    controllers: tuple[controller.Controller, ...] = ()
    """What it does inside of each cluster; run by serve where there is an agent."""
    context: calls.Context = ()
    """Condition keys that each of its operations supplies."""


@dataclass(frozen=True)
class Registry:
    """Operations by service and name, and the models of the services that have any."""

    bound: Mapping[tuple[str, str], Bound]
    services: Mapping[str, services.Service]
    """By the name in a signature's scope."""
    known: frozenset[str]
    """Names of all services with a model, with operations or not."""
    kinds: kinds.Kinds
    """Of the resources of all services."""
    reconcilers: tuple[Callable[[ReconcilerFacts], Reconciler], ...]
    controllers: tuple[controller.Controller, ...]

    def reconciling(self, facts: ReconcilerFacts) -> list[Coroutine[Any, Any, None]]:
        """What keeps the resources of all services as they are wanted, to be run side by side."""
        return [make(facts).run() for make in self.reconcilers]

    def find(self, service: str, operation: str) -> Bound | None:
        """None: no service has built it, or AWS has none of that name. `service`: `eks`."""
        return self.bound.get((service, operation))


def build(given: Iterable[Service], known: Iterable[str] = SERVICES) -> Registry:
    """The registry of all marked functions of these services.

    Raises Invalid, naming everything that is wrong: an operation that the model lacks, marked twice, without a
    declaration of what its caller has to be allowed, or with one, an error (note `errors`, codes divided by spaces) or
    an `again` that the model lacks; a code of a table; a state.
    """
    given = tuple(given)
    wrong: list[str] = []
    models: dict[str, services.Service] = {}
    rules: dict[str, Mapping[str, paging.Rule]] = {}
    bound: dict[tuple[str, str], Bound] = {}
    for handler, mark, of in _marked(given):
        name = f"{mark.service} {mark.operation}"
        try:
            service = models.get(mark.service) or models.setdefault(mark.service, services.load(mark.service))
            operation = service.operation(mark.operation)
        except errors.NotFound as error:
            wrong.append(f"{name}: {error.message}")
            continue
        wrong += [f"{name}: {said}" for said in _problems(service, operation, mark)]
        if (mark.service, mark.operation) in bound:
            wrong.append(f"{name} is marked twice")
        if mark.authorization is None:
            continue
        if mark.service not in rules:
            rules[mark.service] = paging.rules(mark.service)
        pages = rules[mark.service].get(mark.operation)
        declared = replace(mark.authorization, context=(*mark.authorization.context, *of.context))
        bound[mark.service, mark.operation] = Bound(service, operation, handler, pages, declared, mark.notes)
    wrong += [
        f"{one.service.name} {one.operation.name}: there is no {again} to answer for it again"
        for one in bound.values()
        if (again := one.notes.get("again")) and (one.service.name, again) not in bound
    ]
    for service in models.values():
        wrong += _codes_unknown(service)
    wrong += [said for one in given for states in one.states for said in _states_unknown(models, states)]
    if wrong:
        raise errors.Invalid(f"the operations do not fit their models: {'; '.join(sorted(wrong))}")
    resources = kinds.Kinds(kind for one in given for kind in one.kinds)
    by_scope = {service.signing_name: service for service in models.values()}
    return Registry(
        types.MappingProxyType(bound),
        types.MappingProxyType(by_scope),
        frozenset(known) | set(models),
        resources,
        tuple(make for one in given for make in one.reconcilers),
        tuple(each for one in given for each in one.controllers),
    )


def _marked(given: Iterable[Service]) -> Iterable[tuple[calls.Handler, calls.Marked, Service]]:
    """Each module's own marked functions; what it imports from another is the other's."""
    for service in given:
        for module in service.operations:
            for value in vars(module).values():
                mark = calls.marked(value)
                if mark is not None and value.__module__ == module.__name__:
                    yield value, mark, service


def _problems(service: services.Service, operation: shapes.Operation, mark: calls.Marked) -> Iterable[str]:
    yield from declarations.problems(mark.authorization, operation)
    for code in mark.notes.get("errors", "").split():
        if not faults.known(service, code):
            yield f"the model has no error {code}"


def _codes_unknown(service: services.Service) -> list[str]:
    """Cases for which the service has no code at all."""
    rows = table.rows(service.protocol, service.name)
    without = {case: row for case, row in rows.items() if not any(faults.known(service, code) for code in row.codes)}
    return [f"{service.name}: nothing tells of {row.codes}, for {case!r}" for case, row in without.items()]


def _states_unknown(models: Mapping[str, services.Service], one: States) -> list[str]:
    service = models.get(one.service)
    if service is None:
        return [f"{one.service}: has states of {one.shape} and no operation"]
    unknown = sorted(one.states - service.shape(one.shape).enum)
    return [f"{one.service}: {one.shape} has no state {state}" for state in unknown]


def column(bound: Bound | None) -> Column:
    """What the table of coverage says of it. None: it is not built."""
    if bound is None:
        return "refused"
    return "answers empty" if bound.notes.get("answers") == "empty" else "behaves"


def coverage(registry: Registry) -> dict[str, dict[Column, list[str]]]:
    """For each service the names of its operations in three columns. Reads all models: some 100 ms."""
    whole: dict[str, dict[Column, list[str]]] = {}
    loaded = {service.name: service for service in registry.services.values()}
    for name in sorted(registry.known):
        service = loaded.get(name) or services.load(name)
        rows: dict[Column, list[str]] = {"behaves": [], "answers empty": [], "refused": []}
        for operation in sorted(service.operation_names):
            rows[column(registry.find(name, operation))].append(operation)
        whole[name] = rows
    return whole
