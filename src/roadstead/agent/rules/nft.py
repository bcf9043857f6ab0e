"""libnftables in process: 0.3 ms for a transaction where a started nft takes 3 ms. Where the library is not there, nft.

A context holds a netlink socket of the namespace in which it was made, so one is kept per namespace. Each text is one
transaction: the kernel takes all of it or nothing.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
from typing import Protocol

from roadstead.core import errors

_LIBRARY = "libnftables.so.1"
_STATELESS = 1 << 2
_NUMERIC = 0b1111 << 7
"""Protocols, priorities, symbols and times as numbers: the same text on every machine."""
_PROGRAM = ("nft", "--stateless", "--numeric", "--file", "-")
_LONGEST = 20.0
"""Seconds for one run of the program."""


class Nft(Protocol):
    """nft in one namespace. Close it."""

    def close(self) -> None: ...

    def run(self, text: str) -> tuple[int, str, str]:
        """Exit code, what is listed, and complaints."""


def opened() -> Nft:
    """For the calling thread's namespace. Raises Failed where neither library nor program is there."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return Program()
    return Library(library)


class Library:
    """A context of libnftables."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._library.nft_ctx_new.restype = ctypes.c_void_p
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(self._library, name).restype = ctypes.c_char_p
        context = self._library.nft_ctx_new(0)
        if not context:
            raise errors.Failed("libnftables gives no context: is this process root?", library=_LIBRARY)
        self._context: ctypes.c_void_p | None = ctypes.c_void_p(context)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_output_set_flags(self._context, ctypes.c_uint(_STATELESS | _NUMERIC))

    def close(self) -> None:
        if self._context is not None:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def run(self, text: str) -> tuple[int, str, str]:
        """Raises Failed for a context that is closed."""
        if self._context is None:
            raise errors.Failed("this nft context is closed", text=text)
        code = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
        # Reading a buffer empties it for the next command: both are read each time.
        output = self._library.nft_ctx_get_output_buffer(self._context) or b""
        complaint = self._library.nft_ctx_get_error_buffer(self._context) or b""
        return code, output.decode(), complaint.decode()


class Program:
    """The program, started anew for each text."""

    def __init__(self) -> None:
        self._namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1

    def run(self, text: str) -> tuple[int, str, str]:
        """Raises Failed when there is no program, or when it takes too long."""
        try:
            done = subprocess.run(
                ("nsenter", f"--net=/proc/self/fd/{self._namespace}", "--", *_PROGRAM),
                input=text,
                capture_output=True,
                text=True,
                timeout=_LONGEST,
                check=False,
                pass_fds=(self._namespace,),
            )
        except (FileNotFoundError, subprocess.TimeoutExpired) as error:
            raise errors.Failed(f"neither {_LIBRARY} nor nft can be used: install nftables ({error})") from error
        return done.returncode, done.stdout, done.stderr


_NETFILTER = 12
"""NETLINK_NETFILTER of linux/netlink.h."""
_GET_GENERATION = 10 << 8 | 16
_NEW_GENERATION = 10 << 8 | 15
_GENERATION_ID = 1
"""NFNL_SUBSYS_NFTABLES with NFT_MSG_GETGEN and NFT_MSG_NEWGEN, and NFTA_GEN_ID, of linux/netfilter/nf_tables.h."""
_HEADER = struct.Struct("=IHHII")
_REQUEST = _HEADER.pack(_HEADER.size + 4, _GET_GENERATION, 1, 0, 0) + struct.pack(">BBH", 0, 0, 0)


class Generation:
    """How often the rules of a namespace were changed, by whomever: the kernel counts, and nothing is listed."""

    def __init__(self) -> None:
        """Of the calling thread's namespace."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)

    def close(self) -> None:
        self._socket.close()

    def get(self) -> int:
        """Counts up by one with each transaction. Raises Failed."""
        try:
            self._socket.send(_REQUEST)
            return generation(self._socket.recv(4096))
        except OSError as error:
            raise errors.Failed(f"the kernel does not tell of its rules: {error.strerror}") from error


def generation(answer: bytes) -> int:
    """The number in the kernel's answer. Raises Failed for another message. Pure."""
    if len(answer) < _HEADER.size or _HEADER.unpack_from(answer)[1] != _NEW_GENERATION:
        raise errors.Failed("the kernel does not tell of its rules: another answer was expected", answer=answer.hex())
    at = _HEADER.size + 4
    while at + 4 <= len(answer):
        size, kind = struct.unpack_from("=HH", answer, at)
        if kind == _GENERATION_ID:
            number: int = struct.unpack_from(">I", answer, at + 4)[0]
            return number
        at += max(size + 3 & ~3, 4)
    raise errors.Failed("the kernel does not tell of its rules: no number is in its answer", answer=answer.hex())
