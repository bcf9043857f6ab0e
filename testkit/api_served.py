"""`serve` as a process of its own, for tests: started, its log read, ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]

from roadstead.identity import homes, profile

ROOT = Path(__file__).resolve().parents[1]
_STARTING = 30.0
"""Seconds: other work may share the machine."""


@dataclass
class Served:
    """A running serve, the profile that it wrote, and what it has logged so far."""

    process: subprocess.Popen[bytes]
    home: Path
    endpoint: str = ""
    lines: list[dict[str, Any]] = field(default_factory=list)
    _came: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)

    @property
    def profile(self) -> profile.Profile:
        return homes.read(self.home)

    @property
    def port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])

    def memory(self) -> int:
        """KiB that are its own: its part of what is shared grows also when others end."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:"))

    def line(self, message: str, **wanted: object) -> dict[str, Any]:
        """The next line of the log with this message and these fields. Raises queue.Empty when none comes."""
        while True:
            line = self._came.get(timeout=_STARTING)
            if line["message"] == message and wanted.items() <= line.items():
                return line

    def read(self) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            try:
                line = json.loads(raw)
            except json.JSONDecodeError:
                line = {"message": raw.decode(), "level": "NOT JSON"}
            self.lines.append(line)
            self._came.put(line)
        self._came.put({"message": "the end"})

    def client(self, service: str, **other: Any) -> Any:
        """boto3 with the profile's words."""
        found = self.profile
        named = {
            "aws_access_key_id": found.access_key,
            "aws_secret_access_key": found.secret,
            "region_name": found.region,
            "verify": found.ca_bundle,
        }
        config = botocore.config.Config(retries={"max_attempts": 0}, inject_host_prefix=False, max_pool_connections=16)
        return boto3.client(service, endpoint_url=self.endpoint, config=config, **{**named, **other})


@contextlib.contextmanager
def served(
    state: Path, home: Path, *arguments: str, module: str = "tests.wire.api_operations", port: int = 0
) -> Iterator[Served]:
    """A serve with the tests' operations, on a free port; its profile is in `home`."""
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-W", "error", "-m", module, "--state", str(state), "--port", str(port)]
    command += ["--profile-of", f"{home}:{os.getuid()}:{os.getgid()}", *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, cwd=ROOT)
    running = Served(process, home)
    reader = threading.Thread(target=running.read)
    reader.start()
    try:
        running.endpoint = running.line("serving")["endpoint"]
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            reader.join()
            assert process.stderr is not None
            process.stderr.close()
