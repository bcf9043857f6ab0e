"""The facts of a service's model as frozen dataclasses, resolved once so that the codecs only look things up.

They are ours rather than botocore.model's for three reasons: importing botocore costs 0.1 to 0.3 s, its
shapes merge traits anew for each use, and it has no types. A member is a `Ref`: a shape and what the place adds to
it (names on the wire, location, timestamp format). Shapes refer to each other in circles, so the mappings of a
structure are filled after it is made; nothing changes once a shape has been handed out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "structure",
    "list",
    "map",
    "string",
    "integer",
    "long",
    "float",
    "double",
    "boolean",
    "timestamp",
    "blob",
]
Location = Literal["uri", "querystring", "header", "headers", "statusCode"]
TimestampFormat = Literal["iso8601", "rfc822", "unixtimestamp"]


@dataclass(frozen=True, slots=True)
class ErrorTraits:
    """What a model says about an error shape: the code on the wire, the HTTP status, whose fault it is."""

    code: str
    status: int
    sender: bool


@dataclass(frozen=True, slots=True, eq=False)
class Ref:
    """A member, element, key or value: a shape in its place."""

    key: str
    """The name in our dicts, and in boto3's."""
    name: str
    """The name on the wire in JSON, CBOR, XML and query forms."""
    form: str
    """The name in ec2's forms: queryName, or locationName with a capital."""
    shape: Shape
    named: bool = False
    """Whether the model gives `name`; elements of lists have other defaults."""
    location: Location | None = None
    flattened: bool = False
    timestamp_format: TimestampFormat | None = None
    idempotency_token: bool = False
    json_value: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One shape. Only the fields of its kind are filled."""

    name: str
    kind: Kind
    members: Mapping[str, Ref] = field(default_factory=dict)
    """Of a structure, by key."""
    body: Mapping[str, Ref] = field(default_factory=dict)
    """Of a structure, those that travel in the body, by name on the wire."""
    element: Ref | None = None
    entry: tuple[Ref, Ref] | None = None
    """Of a map: key and value."""
    required: tuple[str, ...] = ()
    union: bool = False
    document: bool = False
    event_stream: bool = False
    payload: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    enum: frozenset[str] = frozenset()
    enum_order: tuple[str, ...] = ()
    sensitive: bool = False
    error: ErrorTraits | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of a service. `status`: the HTTP status of its answer; None for input and output: it has none."""

    name: str
    method: str
    uri: str
    """The template of path and query, e.g. `/clusters/{name}/tags?x=y`."""
    status: int
    input: Shape | None
    output: Shape | None
    wrapper: str | None
    """The element around a query protocol's result."""
    errors: tuple[Shape, ...]
    host_prefix: str | None = None
    unsigned: bool = False
    """Called without a signature, e.g. sts AssumeRoleWithWebIdentity."""
    idempotency_token: str | None = None
    """The member of the input that makes a repeated request the same request."""

    @property
    def streams(self) -> bool:
        """Whether input or output is an event stream, which no codec here speaks."""
        return any(
            ref.shape.event_stream
            for shape in (self.input, self.output)
            if shape is not None
            for ref in shape.members.values()
        )
