"""What the local commands say and run, where it is decided by pure functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.contract.messages import desired, observed
from roadstead.machine import logs, main, shell, status
from roadstead.machine.services import first
from roadstead.machine.supervision import see, settings

OPENED = ["runc", "exec", "--tty", "--user", "7:7", "h0", "/bin/sh"]


def test_a_shell_has_a_terminal_where_there_is_one() -> None:
    assert shell.inside(OPENED, (), terminal=True) == OPENED
    assert shell.inside(OPENED, ("id", "-u"), terminal=True)[-3:] == ["h0", "id", "-u"]
    assert "--tty" not in shell.inside(OPENED, ("id",), terminal=False)


@pytest.mark.parametrize("kind", desired.KINDS)
def test_one_of_a_kind_is_singular(kind: str) -> None:
    assert status.counted(kind, 3) == f"3 {kind}"
    assert status.counted(kind, 1) in {
        "1 network", "1 host", "1 unit", "1 engine", "1 zone", "1 publish", "1 listener"
    }  # fmt: skip


def test_services_are_lines_with_their_process_and_memory() -> None:
    running = [see.Process("agent", 12, 65, 40 << 20, 0), see.Process("serve", None, 3, 0, 9)]
    assert status.services(running, {"serve": "http://127.0.0.1:4566"}).splitlines() == [
        "SERVICE  STATE  PID  SINCE  MEMORY",
        "agent    up     12   1 min  40 MiB",
        "serve    down   -    3 s    -       http://127.0.0.1:4566",
    ]


def test_clusters_are_lines_with_their_ids_at_the_agent() -> None:
    made = status.ClusterStatus("cluster-1", "c-1a2b3c4d", "eu-central-1", "ACTIVE", "1.37")
    fresh = status.ClusterStatus("dev", "", "eu-central-1", "CREATING", "1.37")
    assert status.table_of([made, fresh]).splitlines() == [
        "CLUSTER    ID          REGION        STATUS    VERSION",
        "cluster-1  c-1a2b3c4d  eu-central-1  ACTIVE    1.37",
        "dev        -           eu-central-1  CREATING  1.37",
    ]


def test_what_does_instead_of_our_runc_is_said_while_there_are_hosts() -> None:
    host = observed.Observation(kind="hosts", id="c-1.etcd-a", generation=1, phase="ready")
    ours = observed.Observation(kind="engines", id="runc-1.5.3", generation=1, phase="ready")
    assert status.makeshift([]) == status.makeshift([ours]) == status.makeshift([host, ours]) == ()
    (said,) = status.makeshift([host])
    assert "hosts are made by the machine's own runc" in said


@pytest.mark.parametrize("what", ["etcd", "/etcd", "cluster-1.etcd-a/"])
def test_logs_of_nothing_are_told_what_there_is(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["logs", what]) == 1
    said = capsys.readouterr().err
    assert "`roadstead logs CLUSTER.etcd-a/etcd` or `roadstead logs NODE/kubelet`" in said
    assert "which service: agent, serve, porter, porter-2, supplier" in said


@pytest.mark.parametrize(("lines", "wanted"), [(0, ""), (1, "d\n"), (3, "b\nc\nd\n"), (9, "a\nb\nc\nd\n")])
def test_a_log_goes_on_in_its_older_files(tmp_path: Path, lines: int, wanted: str) -> None:
    for name, text in (("@1.s", "a\n"), ("@2.s", "b\nc\n"), ("current", "d\n"), ("lock", "")):
        (tmp_path / name).write_text(text)
    assert b"".join(logs.last(tmp_path, lines)).decode() == wanted


def _profile(name: str, endpoint: str) -> str:
    return f"[profile {name}]\nendpoint_url = {endpoint}\n"


KEPT = settings.TreeSettings(port=5000)
HERE = "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("environment", "config", "asked", "found"),
    [
        ({}, "", None, first.Local(HERE, profile=False)),
        ({}, _profile("roadstead", HERE), None, first.Local(HERE)),
        ({}, _profile("mine", HERE + "/"), "mine", first.Local(HERE)),
        # Of an earlier start, or of somebody who knows what they do: looked at, never assumed.
        ({}, _profile("roadstead", "http://localhost:4566"), None, first.Local("http://localhost:4566", usual=False)),
        ({}, _profile("roadstead", "https://10.0.0.9:4566"), None, None),
        ({}, _profile("mine", "http://127.0.0.1:4566"), "mine", None),
        ({"AWS_PROFILE": "mine"}, _profile("mine", "https://eks.example"), None, None),
        ({"AWS_PROFILE": "mine"}, "[profile mine]\nregion = x\n", None, None),
        ({"AWS_ENDPOINT_URL": HERE}, "", None, None),
        ({"AWS_ENDPOINT_URL_EKS": HERE}, "", None, None),
    ],
)
def test_only_this_machines_own_service_is_started(
    environment: dict[str, str], config: str, asked: str | None, found: first.Local | None
) -> None:
    assert first.local(environment, config, "", kept=KEPT, asked=asked) == found


@pytest.mark.parametrize(
    "line",
    [
        "create cluster --dry-run",
        "create cluster --help",
        "create cluster --nodse 3",
        "create",
        "create nothing",
        "utils schema",
        "get clusters -h",
    ],
)
def test_what_asks_no_service_starts_none(line: str) -> None:
    assert first.call_of(line.split()) is None


@pytest.mark.parametrize("line", ["create cluster", "create cluster -f -", "get clusters", "delete cluster --name x"])
def test_what_asks_the_service_is_looked_at(line: str) -> None:
    found = first.call_of(line.split())
    assert found is not None
    assert found.file is None
