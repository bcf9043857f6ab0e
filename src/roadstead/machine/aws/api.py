"""`roadstead api coverage`: which operations of the AWS APIs a running Roadstead has, as it counts them itself."""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.error
import urllib.request

import click
import msgspec

from roadstead.contract import programs
from roadstead.core import errors, terminal
from roadstead.identity import homes
from roadstead.machine import caller

DEFAULT = f"http://{programs.ADDRESS}:{programs.PORT}"
_SECONDS = 15.0

Coverage = dict[str, dict[str, list[str]]]
"""For each service the names of its operations in three columns: behaves, answers empty, refused."""


@click.group()
def api() -> None:
    """The AWS APIs that Roadstead speaks."""


@api.command()
@click.argument("service", required=False)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--endpoint", help="URL of the running Roadstead.  [default: that of the environment or the profile]")
def coverage(service: str | None, output: str, endpoint: str | None) -> None:
    """Count the operations of every service, or list those of SERVICE.

    Only those that behave count as covered. The others answer with an empty list, where that is true of every
    Roadstead, or are refused.
    """
    counted = ask(*_endpoint(endpoint))
    if service is not None and service not in counted:
        raise errors.NotFound(f"there is no service {service!r}: {', '.join(sorted(counted))}", service=service)
    chosen = counted if service is None else {service: counted[service]}
    if output == "json":
        terminal.out(msgspec.json.format(msgspec.json.encode(chosen), indent=2).decode())
    else:
        terminal.out(table(counted) if service is None else listed(counted[service]))


def ask(endpoint: str, ca_bundle: str | None) -> Coverage:
    """Raises Failed when nothing answers, or something else does."""
    url = f"{endpoint.rstrip('/')}/coverage"
    try:
        context = ssl.create_default_context(cafile=ca_bundle) if url.startswith("https:") else None
        with urllib.request.urlopen(url, timeout=_SECONDS, context=context) as answer:
            return msgspec.json.decode(answer.read(), type=Coverage)
    except (OSError, ValueError, http.client.HTTPException, msgspec.DecodeError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise errors.Failed(
            f"no Roadstead answers at {endpoint}: {reason}. Is it started? --endpoint asks another", endpoint=endpoint
        ) from error


def _endpoint(told: str | None) -> tuple[str, str | None]:
    """The URL to ask, and the certificates to trust."""
    if told or (told := os.environ.get("AWS_ENDPOINT_URL")):
        return told, os.environ.get("AWS_CA_BUNDLE")
    try:
        found = homes.read(caller.caller(os.environ).home)
    except errors.NotFound:
        return DEFAULT, None
    return found.endpoint, found.ca_bundle


def table(counted: Coverage) -> str:
    """One line per service, and their sum."""
    columns = ("behaves", "answers empty", "refused")
    rows = [[name, *(str(len(rows[column])) for column in columns)] for name, rows in counted.items()]
    sums = ["all", *(str(sum(len(rows[column]) for rows in counted.values())) for column in columns)]
    lines = [["SERVICE", *(column.upper() for column in columns)], *rows, sums]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns) + 1)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])  # noqa: B905
        for line in lines
    )


def listed(rows: dict[str, list[str]]) -> str:
    """One line per operation: its column and its name."""
    return "\n".join(f"{column:13}  {name}" for column, names in rows.items() for name in names)
