"""A whole control plane in one batch: how soon it is ready, who gets in, and what it keeps to itself.

Cost: about 30 s, 1 GB of memory; builds of Kubernetes and etcd when they are not cached.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import waiting
from tests.live import conftest, control_plane, fleet

from roadstead.clusters.trust import authorities
from roadstead.contract.messages import observed

pytestmark = pytest.mark.live

SECRET = "correct-horse-battery-staple"
CALLER = LISTENER = control_plane.SERVE


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One that the user of porter comes to: pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="roadstead-control-plane-") as name:
        os.chown(name, control_plane.SERVE, control_plane.SERVE)
        yield Path(name)


@pytest.fixture(scope="module")
def plane(
    agent: conftest.RunningAgent, tmp_path_factory: pytest.TempPathFactory, folder: Path
) -> Iterator[control_plane.Plane]:
    made, batch, known = control_plane.lend(agent, tmp_path_factory.mktemp("plane"))
    try:
        made.answer(folder, known)
        began = time.monotonic()
        agent.client.accept(batch)
        ready: dict[str, float] = {}
        wanted = set(batch["units"])

        def note(seen: dict[tuple[str, str], observed.Observation]) -> bool:
            for (kind, id), one in seen.items():
                if kind == "units" and one.phase == "ready":
                    ready.setdefault(id.removeprefix(f"{made.plane.id}."), time.monotonic() - began)
                    made.restarts.setdefault(id, one.restarts)
            return len(ready) == len(wanted)

        agent.client.wait(note, 90)
        print("\nready after (s):")
        for id, seconds in sorted(ready.items(), key=lambda pair: pair[1]):
            print(f"  {seconds:5.2f}  {id}")
        apis = sorted(seconds for id, seconds in ready.items() if id.endswith("kube-apiserver"))
        print(f"first API server {apis[0]:.2f}, all three {apis[-1]:.2f}, everything {max(ready.values()):.2f}")
        agent.client.wait_ready(60)
        _until_it_has_a_service_account(made, "default")
        print(f"default service account {time.monotonic() - began:.2f}")
        yield made
    finally:
        if made.answering is not None:
            made.answering.kill()
            made.answering.wait(10)
        fleet.delete_all(agent.client)


def _until_it_has_a_service_account(plane: control_plane.Plane, namespace: str) -> None:
    words = ("get", "serviceaccounts", "-n", namespace, "-o", "name")
    waiting.until(f"service account of {namespace}", lambda: "default" in plane.kubectl(*words), 30, 0.05)


def test_the_endpoint_works_and_namespaces_get_their_service_account(plane: control_plane.Plane) -> None:
    assert plane.kubectl("get", "--raw", "/readyz") == "ok"
    assert plane.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}") == "roadstead:serve"
    plane.kubectl("create", "namespace", "first")
    _until_it_has_a_service_account(plane, "first")
    service = json.loads(plane.kubectl("get", "endpointslices", "kubernetes", "-n", "default", "-o", "json"))
    assert service["endpoints"][0]["addresses"] == [plane.plane.endpoint.private]
    assert len(service["endpoints"]) == 1


def test_without_credentials_there_is_only_health(plane: control_plane.Plane) -> None:
    assert plane.status("/readyz") == 200
    assert plane.status("/api") == 401
    assert plane.status("/version") == 401


def test_serve_may_do_what_it_likes_though_no_role_says_so(plane: control_plane.Plane) -> None:
    groups = plane.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.groups}")
    assert json.loads(groups) == ["system:authenticated"]
    role = "cluster-admin"
    plane.kubectl("create", "clusterrolebinding", "given", f"--clusterrole={role}", "--user=somebody")

    def may() -> bool:
        return plane.kubectl("auth", "can-i", "*", "*", "--as=somebody").strip() == "yes"

    # Another API server may be asked than the one that was told.
    waiting.until("somebody may do it", may, 20)
    plane.kubectl("delete", "clusterrolebinding", "given")


def test_who_is_called_as_serve_may_do_nothing_and_is_in_the_log(plane: control_plane.Plane) -> None:
    for user in ("roadstead:serve", "ann"):
        subject = authorities.Subject(name=user, usages=("client",))
        plane.give(user, authorities.leaf(plane.trust.cluster, subject, dt.datetime.now(dt.UTC)))
    forged = plane.tried("roadstead:serve", "get", "--raw", "/api/v1/namespaces")
    assert "roadstead:serve is Roadstead's own, and this is no credential of it" in forged.stderr
    ann = plane.tried("ann", "get", "--raw", "/api/v1/namespaces").stderr
    assert ann.strip().endswith(
        'namespaces is forbidden: User "ann" cannot list resource "namespaces" in API group "" at the cluster scope'
    ), ann
    assert "cannot be impersonated" in plane.tried("admin", "get", "pods", "--as=roadstead:serve").stderr

    def denied() -> bool:
        lines = [json.loads(line) for line in logs(plane).splitlines() if '"roadstead:serve"' in line]
        return {403, 200} <= {line["responseStatus"]["code"] for line in lines if line["verb"] in ("list", "get")}

    waiting.until("what was read by that name, and what was not, is in an audit log", denied, 45)


def logs(plane: control_plane.Plane) -> str:
    """The audit logs of all API servers."""
    disks = [plane.agent.places.host(f"{plane.plane.id}.api-{letter}").disk for letter in "abc"]
    paths = [disk / "lib" / "kube-apiserver" / "audit" / "audit.log" for disk in disks]
    return "".join(path.read_text() for path in paths if path.exists())


def test_a_secret_is_neither_in_etcd_nor_in_the_audit_log_as_it_is(plane: control_plane.Plane) -> None:
    plane.kubectl("create", "namespace", "kept")
    plane.kubectl("create", "secret", "generic", "treasure", "-n", "kept", f"--from-literal=word={SECRET}")
    client = authorities.leaf(
        plane.trust.etcd, authorities.Subject(name="test", usages=("client",)), dt.datetime.now(dt.UTC)
    )
    plain = plane.etcd("etcd-a", client, "get", "/registry/namespaces/kept", "-w=fields")
    assert "kept" in plain.stdout
    raw = plane.etcd("etcd-a", client, "get", "/registry/secrets/kept/treasure", "-w=fields").stdout
    assert "k8s:enc:secretbox:v1:key-1:" in raw
    assert SECRET not in raw

    waiting.until("it is in an audit log", lambda: '"treasure"' in logs(plane), 45)
    lines = [json.loads(line) for line in logs(plane).splitlines() if '"treasure"' in line]
    assert [line["level"] for line in lines if line["verb"] == "create"] == ["Metadata"]
    assert SECRET not in logs(plane)
    assert "/readyz" not in {json.loads(line)["requestURI"] for line in logs(plane).splitlines()}


def test_etcd_answers_only_to_its_own(plane: control_plane.Plane) -> None:
    now = dt.datetime.now(dt.UTC)
    subject = authorities.Subject(name="test", usages=("client",))
    own = authorities.leaf(plane.trust.etcd, subject, now)
    other = authorities.leaf(plane.trust.cluster, subject, now)
    assert plane.etcd("etcd-a", own, "get", "/").returncode == 0
    assert plane.etcd("etcd-a", other, "get", "/", timeout="2s").returncode != 0
    assert plane.etcd("etcd-a", None, "get", "/", timeout="2s").returncode != 0


def test_each_of_the_leaders_leads(plane: control_plane.Plane) -> None:
    for name in ("kube-controller-manager", "kube-scheduler"):
        holder = plane.kubectl("get", "lease", name, "-n", "kube-system", "-o", "jsonpath={.spec.holderIdentity}")
        assert holder.startswith(f"{plane.plane.id}-api-")


def test_every_built_in_group_of_the_api_is_available(plane: control_plane.Plane) -> None:
    services = json.loads(plane.kubectl("get", "apiservices", "-o", "json"))["items"]
    conditions = {s["metadata"]["name"]: s["status"]["conditions"][0] for s in services}
    assert len(conditions) > 15
    assert [name for name, one in conditions.items() if one["status"] != "True"] == []


def test_nothing_died_on_the_way(plane: control_plane.Plane) -> None:
    """To readiness. Later a leader may well end: one that could not renew its lease in time does."""
    assert {id: restarts for id, restarts in plane.restarts.items() if restarts} == {}
