"""Codings of bodies: gzip is unpacked, within bounds; of all others it is said that they are not taken.

Source: RFC 9110, 8.4; AWS's "Common Errors", whose MalformedHttpRequestException is for a body that cannot be
decompressed by its content-encoding: so they are. What is signed is the body as it is sent. Chunks that are signed each
(`aws-chunked`, `STREAMING-...`) are S3's: all other services have a body signed as a whole.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

from roadstead.wire import exchange
from roadstead.wire.codes import table

_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_HEADERS = 16 + zlib.MAX_WBITS
"""What zlib calls a window's size with gzip's header and trailer."""


def check(protocol: exchange.Protocol, request: exchange.Request) -> None:
    """Refuse, by the head alone, a body whose coding is not taken. Raises Refused."""
    said = request.headers.get("x-amz-content-sha256", "")
    if said.startswith("STREAMING-") or "aws-chunked" in _codings(request):
        raise _refused(
            protocol,
            "Bodies in chunks that are signed each (aws-chunked) are S3's alone: send it whole, signed as one.",
        )
    if request.body and (strange := [name for name in _codings(request) if name not in _GZIP]):
        raise _refused(protocol, f"A body with the content-encoding {strange[0][:40]!r} is not taken: gzip is, once.")
    if request.body and len(_codings(request)) > 1:
        raise _refused(protocol, "A body that is packed more than once is not taken: gzip is, once.")


def plain(protocol: exchange.Protocol, request: exchange.Request) -> exchange.Request:
    """The request with its body unpacked, which has at most MAX_BODY bytes then. Raises Refused."""
    check(protocol, request)
    if not request.body or not _codings(request):
        return request
    unpacking = zlib.decompressobj(_GZIP_HEADERS)
    try:
        body = unpacking.decompress(request.body, exchange.MAX_BODY + 1)
    except zlib.error as error:
        raise _refused(protocol, "The body is not packed as its content-encoding says: gzip.") from error
    if len(body) > exchange.MAX_BODY:
        said = f"The body has more than {exchange.MAX_BODY} bytes when it is unpacked; at most so many are taken."
        raise exchange.RequestRefused(table.unserved(protocol, "too large", said))
    if not unpacking.eof:
        raise _refused(protocol, "The body ends within what its content-encoding says: gzip.")
    if unpacking.unused_data:
        raise _refused(protocol, "The body goes on behind what is packed.")
    headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}
    return replace(request, headers=headers, body=body)


def _codings(request: exchange.Request) -> list[str]:
    names = (name.strip().lower() for name in request.headers.get("content-encoding", "").split(","))
    return [name for name in names if name not in ("", "identity")]


def _refused(protocol: exchange.Protocol, message: str) -> exchange.RequestRefused:
    return exchange.RequestRefused(table.unserved(protocol, "http", message))
