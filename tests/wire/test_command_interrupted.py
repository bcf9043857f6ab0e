"""Ctrl-C, as a terminal sends it, to the command as a process of its own, while a slow service has its request."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import api_served
from tests.unit import cloud_for_cli, test_cli_served

from roadstead.wire import exchange, server

COMMAND = """
import os, signal
def heard(number, frame):
    os.write(2, b"heard\\n")
    signal.default_int_handler(number, frame)
# Whoever runs the tests in the background has it ignored.
signal.signal(signal.SIGINT, heard)
signal.signal(signal.SIGUSR1, lambda *_: None)
from roadstead.machine import main
main.main()
"""
PATIENCE = 60.0
AFTERWARDS = 0.7
"""Seconds for a process that has heard a signal to do what it should not."""


class Slow(cloud_for_cli.Cloud):
    """One kind of request is not looked at until `go` is set."""

    def __init__(self, held: str) -> None:
        super().__init__()
        self.held, self.came, self.go = held, threading.Event(), threading.Event()

    def answer(self, service: str, request: exchange.Request) -> exchange.Response:
        if server.match(self.models[service], request).operation.name == self.held:
            self.came.set()
            assert self.go.wait(PATIENCE)
        return super().answer(service, request)


@contextlib.contextmanager
def served(held: str, home: Path) -> Iterator[tuple[Slow, subprocess.Popen[bytes]]]:
    """A service, and `create cluster` that asks it."""
    cloud = Slow(held)
    desk = test_cli_served.Server(cloud)
    thread = threading.Thread(target=desk.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "ROADSTEAD_", "SUDO_"))}
    environment = {
        **kept,
        "HOME": str(home),
        "PYTHONPATH": str(api_served.ROOT / "src"),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{desk.server_address[1]}",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": test_cli_served.SECRET,
    }
    line = [
        sys.executable,
        "-c",
        COMMAND,
        "create",
        "cluster",
        "dev",
        "--region=eu-central-1",
        "--write-kubeconfig=false",
    ]
    # Without a buffer: what comes after a line is left for who reads the rest.
    command = subprocess.Popen(line, 0, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert cloud.came.wait(PATIENCE)
        yield cloud, command
    finally:
        cloud.go.set()
        command.kill()
        command.communicate()
        desk.shutdown()
        desk.server_close()
        thread.join()
    assert desk.failures == []


def told(command: subprocess.Popen[bytes], words: str) -> str:
    """What it says up to the line with these words, after a signal."""
    assert command.stdout is not None
    said = ""
    while words not in said:
        if not select.select([command.stdout], [], [], 0.1)[0]:
            # Python does not hear one that comes just when the main thread begins to wait, until there is another.
            command.send_signal(signal.SIGUSR1)
            continue
        line = command.stdout.readline().decode()
        assert line, said
        said += line
    return said


def interrupt(command: subprocess.Popen[bytes]) -> None:
    """Until it has heard that: two signals at a time are one."""
    command.send_signal(signal.SIGINT)
    told(command, "heard\n")


def rest(command: subprocess.Popen[bytes]) -> str:
    """What it says until it ends."""
    return command.communicate(timeout=PATIENCE)[0].decode()


def left(cloud: cloud_for_cli.Cloud) -> tuple[int, ...]:
    return len(cloud.clusters), len(cloud.vpcs), len(cloud.subnets), len(cloud.roles)


@pytest.mark.parametrize("held", ["CreateVpc", "CreateSubnet", "CreateRole", "AttachRolePolicy"])
def test_what_was_on_its_way_is_taken_back_too(tmp_path: Path, held: str) -> None:
    with served(held, tmp_path) as (cloud, command):
        interrupt(command)
        time.sleep(AFTERWARDS)
        cloud.go.set()
        said = rest(command)
    assert command.returncode == 130, said
    assert "the cluster was not asked for yet, and nothing is left" in said
    assert left(cloud) == (0, 0, 0, 0)
    assert "CreateCluster" not in cloud.calls


def test_a_cluster_that_was_on_its_way_goes_on_being_made(tmp_path: Path) -> None:
    with served("CreateCluster", tmp_path) as (cloud, command):
        interrupt(command)
        time.sleep(AFTERWARDS)
        cloud.go.set()
        said = rest(command)
    assert command.returncode == 130, said
    assert 'interrupted: cluster "dev" goes on being made' in said
    assert "and asks for its nodes: nobody else does" in said
    assert left(cloud) == (1, 1, 6, 2)


def test_a_connection_with_half_an_answer_is_not_asked_again(tmp_path: Path) -> None:
    """What the main thread asks is cut off at once; the next question, of the cluster, is asked anew."""
    with served("CheckRoom", tmp_path) as (cloud, command):
        interrupt(command)
        said = rest(command)
    assert command.returncode == 130, said
    assert "the cluster was not asked for yet, and nothing is left" in said
    assert left(cloud) == (0, 0, 0, 0)


def test_who_does_not_wait_is_told_that_it_is_not_known(tmp_path: Path) -> None:
    with served("CreateCluster", tmp_path) as (cloud, command):
        interrupt(command)
        time.sleep(AFTERWARDS)
        command.send_signal(signal.SIGINT)
        said = told(command, "takes it back")
        cloud.go.set()
        said += rest(command)
    assert command.returncode == 130, said
    assert 'what became of cluster "dev" is not known' in said
    assert "roadstead delete cluster --force --name=dev --region=eu-central-1" in said
    assert left(cloud) == (1, 1, 6, 2)
