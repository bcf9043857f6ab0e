"""Models of our own with the corners that today's services leave out: they come with tomorrow's."""

from __future__ import annotations

import json
from typing import Any

SHAPES: dict[str, Any] = {
    "Strings": {"type": "list", "member": {"shape": "String"}},
    "NamedStrings": {"type": "list", "member": {"shape": "String", "locationName": "Entry"}},
    "FlatStrings": {"type": "list", "member": {"shape": "String"}, "flattened": True},
    "FlatNamed": {"type": "list", "member": {"shape": "Node", "locationName": "flatNode"}, "flattened": True},
    "Numbers": {"type": "list", "member": {"shape": "Integer"}},
    "Map": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "Node"}},
    "NamedMap": {
        "type": "map",
        "key": {"shape": "String", "locationName": "K"},
        "value": {"shape": "Strings", "locationName": "V"},
    },
    "FlatMap": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "String"}, "flattened": True},
    "StringMap": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "String"}},
    "Node": {
        "type": "structure",
        "members": {
            "text": {"shape": "String", "locationName": "Text"},
            "children": {"shape": "Nodes"},
            "blob": {"shape": "Blob"},
        },
    },
    "Nodes": {"type": "list", "member": {"shape": "Node"}},
    "Choice": {"type": "structure", "union": True, "members": {"one": {"shape": "Node"}, "two": {"shape": "Double"}}},
    "Document": {"type": "structure", "document": True, "members": {}},
    "Iso": {"type": "timestamp", "timestampFormat": "iso8601"},
    "Rfc": {"type": "timestamp", "timestampFormat": "rfc822"},
    "Unix": {"type": "timestamp", "timestampFormat": "unixTimestamp"},
    "Time": {"type": "timestamp"},
    "String": {"type": "string"},
    "Json": {"type": "string", "jsonvalue": True},
    "Integer": {"type": "integer"},
    "Long": {"type": "long"},
    "Double": {"type": "double"},
    "Boolean": {"type": "boolean"},
    "Blob": {"type": "blob"},
    "Gone": {
        "type": "structure",
        "members": {"Message": {"shape": "String"}, "when": {"shape": "Time"}},
        "error": {"httpStatusCode": 410, "code": "Corner.Gone"},
        "exception": True,
    },
}

BODY: dict[str, Any] = {
    "strings": {"shape": "Strings", "locationName": "otherStrings"},
    "named": {"shape": "NamedStrings"},
    "numbers": {"shape": "Numbers"},
    "map": {"shape": "Map"},
    "namedMap": {"shape": "NamedMap"},
    "choice": {"shape": "Choice"},
    "node": {"shape": "Node"},
    "iso": {"shape": "Iso"},
    "unix": {"shape": "Unix"},
    "time": {"shape": "Time"},
    "long": {"shape": "Long"},
    "double": {"shape": "Double"},
    "boolean": {"shape": "Boolean"},
    "blob": {"shape": "Blob"},
    "token": {"shape": "String", "idempotencyToken": True},
}
FLAT: dict[str, Any] = {
    "flat": {"shape": "FlatStrings"},
    "flatNamed": {"shape": "FlatNamed"},
    "flatMap": {"shape": "FlatMap"},
}


def place(shape: str, location: str, name: str) -> dict[str, str]:
    return {"shape": shape, "location": location, "locationName": name}


HEADERS: dict[str, Any] = {
    "inHeader": place("String", "header", "X-Text"),
    "listInHeader": place("Strings", "header", "X-List"),
    "numbersInHeader": place("Numbers", "header", "X-Numbers"),
    "timeInHeader": place("Time", "header", "X-Time"),
    "isoInHeader": place("Iso", "header", "X-Iso"),
    "flagInHeader": place("Boolean", "header", "X-Flag"),
    "jsonInHeader": {**place("String", "header", "X-Json"), "jsonvalue": True},
    "prefixed": place("StringMap", "headers", "x-meta-"),
}
QUERY: dict[str, Any] = {
    "inQuery": place("String", "querystring", "text"),
    "listInQuery": place("Strings", "querystring", "list"),
    "numberInQuery": place("Integer", "querystring", "number"),
    "flagInQuery": place("Boolean", "querystring", "flag"),
    "timeInQuery": place("Time", "querystring", "time"),
    "unixInQuery": place("Unix", "querystring", "unix"),
    "doubleInQuery": place("Double", "querystring", "double"),
}


def _operation(name: str, method: str = "POST", uri: str = "/", status: int = 200) -> dict[str, Any]:
    return {
        "name": name,
        "http": {"method": method, "requestUri": uri, "responseCode": status},
        "input": {"shape": f"{name}Input"},
        "output": {"shape": f"{name}Output", "resultWrapper": f"{name}Result"},
        "errors": [{"shape": "Gone"}],
    }


def _structure(members: dict[str, Any], **traits: Any) -> dict[str, Any]:
    # An absent payload looks like an empty one.
    required = [key for key, ref in members.items() if ref.get("location") == "uri" or key == traits.get("payload")]
    return {"type": "structure", "members": members, "required": required, **traits}


def _model(protocol: str, operations: list[dict[str, Any]], shapes: dict[str, Any], **metadata: Any) -> bytes:
    about = {
        "apiVersion": "2020-01-01",
        "endpointPrefix": "corners",
        "protocol": protocol,
        "protocols": [protocol],
        "serviceId": "Corners",
        **metadata,
    }
    named = {operation["name"]: operation for operation in operations}
    return json.dumps({"metadata": about, "operations": named, "shapes": {**SHAPES, **shapes}}).encode()


def _rest() -> bytes:
    label, greedy = place("String", "uri", "label"), place("String", "uri", "rest")
    number = place("Integer", "uri", "number")
    return _model(
        "rest-json",
        [
            _operation("Everything", "PUT", "/things/{label}/parts/{number}?kind=every", 201),
            _operation("Literal", "PUT", "/things/list/parts/{number}?kind=every"),
            _operation("Greedy", "GET", "/keys/{rest+}/end"),
            _operation("Payload", "POST", "/payload"),
            _operation("Raw", "POST", "/raw"),
        ],
        {
            "EverythingInput": _structure({"label": label, "number": number, **BODY, **HEADERS, **QUERY}),
            "EverythingOutput": _structure({**BODY, **HEADERS, "code": place("Integer", "statusCode", "code")}),
            "LiteralInput": _structure({"number": number, "document": {"shape": "Document"}}),
            "LiteralOutput": _structure({"document": {"shape": "Document"}}),
            "GreedyInput": _structure({"rest": greedy, "all": {"shape": "StringMap", "location": "querystring"}}),
            "GreedyOutput": _structure({}),
            "PayloadInput": _structure({"node": {"shape": "Node"}, "head": HEADERS["inHeader"]}, payload="node"),
            "PayloadOutput": _structure({"node": {"shape": "Node"}, "head": HEADERS["inHeader"]}, payload="node"),
            "RawInput": _structure({"blob": {"shape": "Blob"}, "head": HEADERS["inHeader"]}, payload="blob"),
            "RawOutput": _structure({"text": {"shape": "String"}}, payload="text"),
        },
    )


def _body_only(protocol: str, members: dict[str, Any], **metadata: Any) -> bytes:
    shapes = {"EverythingInput": _structure(members), "EverythingOutput": _structure(members)}
    operation = _operation("Everything")
    if protocol == "ec2":
        del operation["output"]["resultWrapper"]
    return _model(protocol, [operation], shapes, **metadata)


MODELS: dict[str, bytes] = {
    "corners-rest": _rest(),
    "corners-query": _body_only("query", {**BODY, **FLAT}, xmlNamespace="http://corners/"),
    "corners-ec2": _body_only("ec2", {**BODY, "renamed": {"shape": "String", "queryName": "Asked"}}),
    "corners-json": _body_only(
        "json",
        {**BODY, "document": {"shape": "Document"}},
        jsonVersion="1.0",
        targetPrefix="Corners",
        awsQueryCompatible={},
    ),
}
