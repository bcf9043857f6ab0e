"""A whole control plane in one batch: how soon it is ready, who gets in, and what it keeps to itself.

Cost: about 30 s, 1 GB of memory; builds of Kubernetes and etcd when they are not cached.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import os
import subprocess
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


def test_what_one_api_server_is_told_the_others_go_by(plane: control_plane.Plane) -> None:
    """Upstream's conformance suite writes by one connection and reads by another, which leads to another server."""
    by(plane, "a", "create", "namespace", "told")
    _until_it_has_a_service_account(plane, "told")

    # What is asked without a version is as new as what was written before.
    by(plane, "a", "create", "configmap", "told", "-n", "told")
    for letter in "bc":
        assert by(plane, letter, "get", "configmap", "told", "-n", "told", "-o", "name").strip() == "configmap/told"
        assert "configmap/told" in by(plane, letter, "get", "configmaps", "-n", "told", "-o", "name").split()
    by(plane, "b", "delete", "--raw", "/api/v1/namespaces/told/configmaps?fieldSelector=metadata.name%3Dtold")
    for letter in "abc":
        assert "configmap/told" not in by(plane, letter, "get", "configmaps", "-n", "told", "-o", "name").split()

    # Admission goes by what it has heard of: by and by.
    by(plane, "c", "create", "-n", "told", "-f", "-", stdin=json.dumps(LIMITS))
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}}
    for letter in "abc":

        def has_defaults(letter: str = letter) -> bool:
            asked = ("create", "-n", "told", "--dry-run=server", "-o", "json", "-f", "-")
            made = json.loads(by(plane, letter, *asked, stdin=json.dumps(pod)))
            return bool(made["spec"]["containers"][0]["resources"].get("limits") == {"memory": "64Mi"})

        waiting.until(f"api-{letter} has the defaults of a LimitRange", has_defaults, 20)


def test_a_resource_that_one_api_server_is_told_of_is_published_by_all(plane: control_plane.Plane) -> None:
    definition = json.dumps(WIDGETS)
    by(plane, "a", "create", "-f", "-", stdin=definition)

    def explained(letter: str) -> bool:
        """By discovery, and by the schema in OpenAPI v3."""
        done = tried(plane, letter, "explain", "widgets.spec.size")
        return done.returncode == 0 and "how large it is" in done.stdout

    def published(letter: str) -> bool:
        document = json.loads(by(plane, letter, "get", "--raw", "/openapi/v2"))
        return "dev.roadstead.told.v1.Widget" in document["definitions"]

    for letter in "abc":
        waiting.until(f"api-{letter} explains it", functools.partial(explained, letter), 40)
        waiting.until(f"api-{letter} publishes it", functools.partial(published, letter), 40)
    by(plane, "b", "delete", "-f", "-", stdin=definition)
    for letter in "abc":
        waiting.until(f"api-{letter} explains it no more", lambda at=letter: not explained(at), 40)  # type: ignore[misc]
        waiting.until(f"api-{letter} has forgotten it", lambda at=letter: not published(at), 40)  # type: ignore[misc]


CONTAINER = {"name": "c", "image": "none.test/none:1"}
LIMITS = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "told"},
    "spec": {"limits": [{"type": "Container", "default": {"memory": "64Mi"}}]},
}
WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.told.roadstead.dev"},
    "spec": {
        "group": "told.roadstead.dev",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"size": {"type": "integer", "description": "how large it is"}},
                            }
                        },
                    }
                },
            }
        ],
    },
}


def by(plane: control_plane.Plane, letter: str, *words: str, stdin: str = "") -> str:
    """kubectl as serve's user at one API server; its output."""
    done = tried(plane, letter, *words, stdin=stdin)
    assert done.returncode == 0, f"api-{letter}: kubectl {' '.join(words)}: {done.stderr}"
    return done.stdout


def tried(plane: control_plane.Plane, letter: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    netns = plane.agent.places.host(f"{plane.plane.id}.api-{letter}").netns
    known = (f"--kubeconfig={plane.folder / 'admin.kubeconfig'}", f"--cache-dir={plane.folder / f'at-{letter}'}")
    return subprocess.run(
        [
            "nsenter",
            f"--net={netns}",
            str(plane.components["kubectl"]),
            *known,
            "--server=https://127.0.0.1:443",
            *words,
        ],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": os.environ["PATH"], "HOME": str(plane.folder)},
    )


def test_nothing_died_on_the_way(plane: control_plane.Plane) -> None:
    """To readiness. Later a leader may well end: one that could not renew its lease in time does."""
    assert {id: restarts for id, restarts in plane.restarts.items() if restarts} == {}
