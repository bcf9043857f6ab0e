"""A small API server and its etcd, a program of its own: see edge_lab.

    edge_server.py LETTER ADDRESS PORT ETCDS-ADDRESS ETCDS-PORT

While there is a file LETTER.frozen in its folder, etcd does nothing; while there is LETTER.slow, it reads nothing.
"""

from __future__ import annotations

import signal
import socketserver
import ssl
import sys
import threading
import time
from pathlib import Path

READINESS_CHECK = 0.5
"""Seconds for which an API server waits for its etcd (--etcd-readycheck-timeout)."""


class _Handler(socketserver.StreamRequestHandler):
    """HTTP as far as a proxy's check and the tests' clients need it."""

    letter = ""
    tls: ssl.SSLContext

    def setup(self) -> None:
        self.request = self.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        head = b""
        while line := self.rfile.readline():
            head += line
            if line == b"\r\n":
                status = "200 OK" if b" /readyz" not in head or self._ready() else "500 Internal Server Error"
                self.wfile.write(f"HTTP/1.1 {status}\r\nContent-Length: 1\r\n\r\n{self.letter}".encode())
                if b"Connection: close" in head:
                    return
                head = b""

    def _ready(self) -> bool:
        """A read that waits for etcd is answered as soon as that goes on."""
        until = time.monotonic() + READINESS_CHECK
        while _frozen() or Path(f"{_Handler.letter}.slow").exists():
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True


class _Etcd(socketserver.BaseRequestHandler):
    """As far as a handshake."""

    def handle(self) -> None:
        while _frozen():
            time.sleep(0.01)
        _Handler.tls.wrap_socket(self.request, server_side=True).close()


def _frozen() -> bool:
    return Path(f"{_Handler.letter}.frozen").exists()


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes in the middle of it is nothing to tell."""


def main(letter: str, address: str, port: int, etcd: str, etcd_port: int) -> None:
    _Handler.letter = letter
    _Handler.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _Handler.tls.load_cert_chain(f"{letter}.pem")
    with _Listener((address, port), _Handler) as listener, _Listener((etcd, etcd_port), _Etcd) as member:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        threading.Thread(target=member.serve_forever, daemon=True).start()
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
