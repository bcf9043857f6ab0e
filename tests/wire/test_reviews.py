"""A review has a connection of its own: whole when it was answered, reset when porter is gone before."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter

import pytest
from tests.unit import test_porter_tokens as made

from roadstead.contract import listeners
from roadstead.http import gate
from roadstead.porter import webhook

LIMITS = gate.Limits(8, 8)


def test_an_answer_is_whole_and_ends_its_connection() -> None:
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": made.made()},
    }
    body = json.dumps(review).encode()
    head = (
        f"POST {listeners.AUTHENTICATE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer b\r\n"
        f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\n\r\n"
    )

    async def asked() -> bytes:
        hook = webhook.Webhook(lambda: made.KNOWN, Counter(), lambda: made.NOW)
        passed = socket.create_server(("127.0.0.1", 0))
        sock = gate.Gate(passed, LIMITS, resets=True)
        server = await asyncio.get_running_loop().create_server(hook.protocol, sock=sock)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(head.encode() + body)
        async with asyncio.timeout(20):
            # To the end of the connection, which is none by a reset.
            whole = await reader.read()
        writer.close()
        server.close()
        await hook.close()
        return whole

    top, _, answer = asyncio.run(asked()).partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in top.lower()
    assert json.loads(answer)["status"]["authenticated"]


def test_who_was_not_answered_is_told_by_a_reset() -> None:
    with gate.Gate(socket.create_server(("127.0.0.1", 0)), LIMITS, resets=True) as listening:
        for answered in (False, True):
            with socket.create_connection(listening.getsockname(), 5) as client:
                client.settimeout(5)
                accepted, _ = listening.accept()
                client.sendall(b"x")
                assert accepted.recv(1) == b"x"
                if answered:
                    gate.answers(accepted)
                    accepted.sendall(b"y")
                # As the kernel does for a process that ends.
                accepted.close()
                if answered:
                    assert client.recv(2) == b"y"
                    assert client.recv(2) == b""
                else:
                    with pytest.raises(ConnectionResetError):
                        client.recv(2)
