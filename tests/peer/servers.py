"""The peers as processes on loopback: Roadstead, and moto's server."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
from testkit import api_served
from tests.peer import case, compare

STARTING = 60.0
"""Seconds: moto imports much, and other work may share the machine."""

CONFIG = botocore.config.Config(
    retries={"max_attempts": 0}, inject_host_prefix=False, parameter_validation=False, read_timeout=20
)
"""What is wrong with a request is the server's to say."""


def has_moto() -> bool:
    return importlib.util.find_spec("moto") is not None and importlib.util.find_spec("flask") is not None


@contextlib.contextmanager
def roadstead(folder: Path) -> Iterator[compare.Client]:
    with api_served.served(folder / "state", folder / "home", module="tests.peer.api_at_work") as running:
        found = running.profile
        yield clients(running.endpoint, found.access_key, found.secret)


@contextlib.contextmanager
def moto(folder: Path, **settings: str) -> Iterator[str]:
    """moto's server with its own defaults, but for these variables of its environment; yields its endpoint.

    Raises RuntimeError when it does not start.
    """
    log = folder / "moto.log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MOTO_", "AWS_"))}
    environment |= settings
    with log.open("wb") as out, log.open("rb") as back:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=folder)
        try:
            yield _endpoint(process, back.read)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _endpoint(process: subprocess.Popen[bytes], read: Any) -> str:
    said, deadline = b"", time.monotonic() + STARTING
    while time.monotonic() < deadline and process.poll() is None:
        said += read()
        found = re.search(rb"Running on (http://127\.0\.0\.1:\d+)", said)
        if found:
            return found[1].decode()
        # A file that grows announces nothing.
        select.select([], [], [], 0.05)
    raise RuntimeError(f"moto's server did not start: {said[-2000:].decode(errors='replace')}")


@contextlib.contextmanager
def moto_clients(folder: Path) -> Iterator[compare.Client]:
    """Of moto with AWS's managed policies, which it leaves out by default."""
    with moto(folder, MOTO_IAM_LOAD_MANAGED_POLICIES="true") as endpoint:
        yield clients(endpoint, "AKIAIOSFODNN7EXAMPLE", "secret")


def clients(endpoint: str, key: str, secret: str) -> compare.Client:
    """Clients of boto3, one for each service, region and way of signing."""
    made: dict[tuple[str, str, case.Signed], Any] = {}

    def client(service: str, region: str, signed: case.Signed) -> Any:
        if (service, region, signed) not in made:
            made[service, region, signed] = boto3.session.Session().client(
                service,
                region_name=region,
                endpoint_url=endpoint,
                aws_access_key_id="AKIAAAAAAAAAAAAAAAAA" if signed == "unknown key" else key,
                aws_secret_access_key="wrong" if signed == "wrong secret" else secret,
                config=CONFIG,
            )
        return made[service, region, signed]

    return client
