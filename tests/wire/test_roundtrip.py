"""Every operation against botocore's client codec, in every protocol its service is spoken to in, both ways."""

from __future__ import annotations

import sys
import threading
import zlib
from concurrent import futures
from typing import Any

import pytest
from tests.wire import peer, samples

from roadstead.wire import client, exchange, server, services, shapes

CASES = [(name, protocol) for name in peer.SERVICES for protocol in peer.protocols(name)]
IDS = [f"{name}-{protocol}" for name, protocol in CASES]


def seeds(name: str, operation: str) -> list[samples.Sampler]:
    seed = zlib.crc32(f"{name}.{operation}".encode())
    return [samples.Sampler(seed, full=False), *(samples.Sampler(seed + n, full=True) for n in (1, 2))]


def operations(name: str) -> list[shapes.Operation]:
    service = peer.ours(name)
    return [op for op in map(service.operation, service.operation_names) if not op.streams]


def said(values: dict[str, Any], protocol: exchange.Protocol) -> dict[str, Any]:
    """What a protocol can say of an input: forms have no empty structures."""
    if protocol in ("query", "ec2"):
        return dict(samples.pruned(values, lists=protocol == "ec2"))
    return values


@pytest.mark.parametrize(("name", "protocol"), CASES, ids=IDS)
def test_inputs_by_botocore_are_parsed(name: str, protocol: exchange.Protocol) -> None:
    service = peer.ours(name)
    for operation in operations(name):
        for sampler in seeds(name, operation.name):
            values = sampler.structure(operation.input) if operation.input else {}
            values = said(values, protocol)
            request = peer.send(name, operation.name, values, protocol)
            found = server.match(service, request)
            assert (found.operation.name, found.protocol) == (operation.name, protocol)
            assert server.parse_input(found, request) == values


@pytest.mark.parametrize(("name", "protocol"), CASES, ids=IDS)
def test_inputs_by_our_client_are_parsed(name: str, protocol: exchange.Protocol) -> None:
    service = peer.ours(name)
    for operation in operations(name):
        for sampler in seeds(name, operation.name):
            values = sampler.structure(operation.input) if operation.input else {}
            values = said(values, protocol)
            request = client.serialize(service, operation, values, protocol=protocol)
            found = server.match(service, request)
            assert (found.operation.name, found.protocol) == (operation.name, protocol)
            assert server.parse_input(found, request) == values


@pytest.mark.parametrize(("name", "protocol"), CASES, ids=IDS)
def test_outputs_are_parsed_by_botocore_and_by_our_client(name: str, protocol: exchange.Protocol) -> None:
    service = peer.ours(name)
    for operation in operations(name):
        for sampler in seeds(name, operation.name):
            values = sampler.structure(operation.output) if operation.output else {}
            for ref in operation.output.members.values() if operation.output else ():
                if ref.location == "statusCode":
                    values[ref.key] = 202
            response = server.render_output(service, operation, protocol, values, "request-1")
            parsed, metadata = peer.receive(name, operation.name, response, protocol)
            if parsed.get("prefixed") == {}:  # botocore always has headers with a prefix, even when there are none
                del parsed["prefixed"]
            assert parsed == values
            assert client.parse(service, operation, response, protocol=protocol) == values
            if operation.output is not None or protocol != "rpc-v2-cbor":  # there botocore reads no headers
                assert metadata["RequestId"] == "request-1"


@pytest.mark.parametrize(("name", "protocol"), CASES, ids=IDS)
def test_errors_are_parsed_by_botocore_and_by_our_client(name: str, protocol: exchange.Protocol) -> None:
    service = peer.ours(name)
    told = {shape.name: shape for operation in operations(name) for shape in operation.errors}
    for number, shape in enumerate(told.values()):
        assert shape.error is not None
        sample = samples.Sampler(number, full=True).structure(shape)
        members = {key: value for key, value in sample.items() if key.lower() != "message"}
        fault = exchange.Fault(shape.error.code, "Why <and> what to do", members=members)
        response = server.render_error(service, protocol, fault, "request-2")
        assert response.status == shape.error.status
        parsed, metadata = peer.receive(name, operations(name)[0].name, response, protocol)
        by_code = protocol in ("query", "ec2") or service.query_compatible
        code = shape.error.code if by_code else shape.name
        assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == (code, fault.message)
        assert metadata["RequestId"] == "request-2"
        modelled = peer.receive_error(name, shape.name, response, protocol)
        assert {key: value for key, value in modelled.items() if key.lower() != "message"} == members
        read = client.parse_error(service, response, protocol)
        assert (read.code, read.message, read.status) == (code, fault.message, shape.error.status)
        assert dict(read.members) == members


@pytest.mark.parametrize("protocol", peer.NAMES)
def test_errors_without_a_shape(protocol: exchange.Protocol) -> None:
    fault = exchange.Fault("InvalidAction", "No.", 404)
    response = server.render_error(None, protocol, fault, "request-3")
    parsed, _ = peer.receive("eks", "ListClusters", response, protocol)
    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == ("InvalidAction", "No.")
    read = client.parse_error(peer.ours("eks"), response, protocol)
    assert (read.code, read.message, read.status) == ("InvalidAction", "No.", 404)


def test_a_model_is_whole_for_each_of_many_threads_that_need_it_first() -> None:
    """The command asks side by side: nobody may see a structure whose members are still being resolved."""
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(10):
            made, together = services.load("ec2"), threading.Barrier(8)

            def filters(made: services.Service = made, together: threading.Barrier = together) -> set[str]:
                together.wait()
                taken = made.operation("DescribeVpcs").input
                assert taken is not None
                inner = taken.members["Filters"].shape.element
                assert inner is not None
                return set(inner.shape.members)

            with futures.ThreadPoolExecutor(8) as threads:
                found = [one.result() for one in [threads.submit(filters) for _ in range(8)]]
            assert found == [{"Name", "Values"}] * 8
    finally:
        sys.setswitchinterval(switching)
