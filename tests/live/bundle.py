"""What charts bring to a cluster, as objects and as a whole that comes up and stays: an admission webhook and a
conversion webhook with their certificates, the metrics API by the real metrics server, a set with volumes.

All of it is called by API servers, or waits for what they call. `unwell` is for whoever breaks a cluster meanwhile.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from testkit import kube, waiting
from tests.live import daemons, shared, world

from roadstead import engine
from roadstead.clusters.trust import authorities
from roadstead.engine import images

Object = dict[str, Any]

NAMESPACE = "bundle"
HOOKS, METRICS, KEEPER = "hooks", "metrics-server", "keeper"
METRICS_IMAGE = "roadstead.dev/metrics-server:0.9.0"
MEASURED = "/apis/metrics.k8s.io/v1beta1/nodes"
"""What `kubectl top nodes` asks for."""
PORTS = {443: 8443, 1: 443, 65535: 10250}
"""Of the service `hooks`, each with the pods' own: none of them is like another."""
OUTSIDE = "ship.example"
"""Whoever serves a webhook in the world."""
GROUP, PLURAL = "harbour.example", "berths"
_USUAL = ("mutate", "validate")
_LABELS = {"test": NAMESPACE}
AGENTS = ("fluent-bit", "node-exporter")
"""Of logs and of metrics, one of each on every node."""
_CLUSTER_WIDE = (
    *("apiservices.apiregistration.k8s.io", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
    *("customresourcedefinitions", "clusterroles", "clusterrolebindings"),
)
_READY = 90.0


@dataclass(frozen=True)
class Webhook:
    """One that looks at ConfigMaps with the label `hook: NAME`."""

    name: str
    client: Object
    policy: str = "Fail"
    timeout: int = 5
    conditions: tuple[Object, ...] = ()
    changes: bool = False


def certificate(now: dt.datetime) -> authorities.Credential:
    """Of all services of the bundle, by an authority of its own, as cert-manager or a chart makes it."""
    names = [f"{name}.{NAMESPACE}.svc" for name in (HOOKS, f"{HOOKS}-headless", METRICS)]
    subject = authorities.Subject(name=HOOKS, hosts=(*names, OUTSIDE), usages=("server",))
    return authorities.leaf(authorities.authority(f"{NAMESPACE}-ca", now), subject, now)


def objects(of: authorities.Credential) -> list[Object]:
    """All of it, in the order in which it is made."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": _LABELS}},
        _secret(of),
        *_hooks(),
        *webhooks(*(Webhook(name, at(HOOKS, f"/{name}", of), timeout=2, changes=name == "mutate") for name in _USUAL)),
        _resource(of),
        *_metrics(of),
        *_keeper(),
        *daemons.daemon_sets(only=AGENTS, namespace=NAMESPACE),
    ]


def at(service: str, path: str, of: authorities.Credential, port: int = 443) -> Object:
    """A client configuration: a service in the bundle's namespace."""
    return {
        "caBundle": base64.b64encode(of.authority).decode(),
        "service": {"namespace": NAMESPACE, "name": service, "path": path, "port": port},
    }


def at_url(url: str, of: authorities.Credential) -> Object:
    return {"caBundle": base64.b64encode(of.authority).decode(), "url": url}


def webhooks(*wanted: Webhook) -> list[Object]:
    """A configuration for each, for ConfigMaps that name it."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}
    found = []
    for each in wanted:
        kind = "Mutating" if each.changes else "Validating"
        hook = {
            "name": f"{each.name}.{GROUP}",
            "clientConfig": each.client,
            "rules": [rule],
            "objectSelector": {"matchLabels": {"hook": each.name}},
            "failurePolicy": each.policy,
            "timeoutSeconds": each.timeout,
            "matchConditions": list(each.conditions),
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        of = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": f"{kind}WebhookConfiguration"}
        found.append({**of, "metadata": {"name": f"{NAMESPACE}-{each.name}", "labels": _LABELS}, "webhooks": [hook]})
    return found


def config_map(hook: str, name: str = "cargo", **data: str) -> Object:
    """One that the webhook of that name looks at."""
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"hook": hook}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def berth(version: str, called: str, **spec: str) -> Object:
    """An object of the resource that is converted."""
    metadata = {"name": called, "namespace": NAMESPACE}
    return {"apiVersion": f"{GROUP}/{version}", "kind": "Berth", "metadata": metadata, "spec": spec}


def service(name: str, ports: dict[int, int], **spec: Any) -> Object:
    given = [{"name": f"p{port}", "port": port, "targetPort": target} for port, target in ports.items()]
    return _namespaced("v1", "Service", name, {"selector": {"app": HOOKS}, "ports": given, **spec})


def _namespaced(version: str, kind: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": _LABELS}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _secret(of: authorities.Credential) -> Object:
    made = _namespaced("v1", "Secret", "tls", {})
    del made["spec"]
    files = {"tls.crt": of.certificate, "tls.key": of.key}
    return {**made, "type": "kubernetes.io/tls", "data": {k: base64.b64encode(v).decode() for k, v in files.items()}}


def _pods(name: str, image: str, command: Sequence[str], **more: Any) -> Object:
    """A template whose pods see the certificate at /tls."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": name}},
    }
    mounts = [{"name": "tls", "mountPath": "/tls"}]
    container = {"name": "main", "image": image, "command": list(command), "volumeMounts": mounts, **more}
    return {
        "metadata": {"labels": {"app": name, **_LABELS}},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "tls", "secret": {"secretName": "tls"}}],
            "topologySpreadConstraints": [spread],
            "terminationGracePeriodSeconds": 8,
        },
    }


def _deployment(name: str, replicas: int, pods: Object) -> Object:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    selector = {"matchLabels": {"app": name}}
    spec = {"replicas": replicas, "selector": selector, "template": pods, "strategy": strategy}
    return _namespaced("apps/v1", "Deployment", name, spec)


def _hooks() -> list[Object]:
    """Three pods in three zones. Who goes is asked for some seconds more: API servers hear of it a moment later."""
    ports = ",".join(map(str, PORTS.values()))
    ready = {"httpGet": {"scheme": "HTTPS", "port": 8443, "path": "/"}, "periodSeconds": 1}
    lingers = {"preStop": {"sleep": {"seconds": 4}}}
    pods = _pods(HOOKS, shared.IMAGE, ("/bin/visitor", "hooks", "/tls", ports), readinessProbe=ready, lifecycle=lingers)
    nobody = {"selector": {"app": "nobody"}}
    elsewhere = _namespaced("v1", "Service", f"{HOOKS}-outside", {"type": "ExternalName", "externalName": OUTSIDE})
    return [
        _deployment(HOOKS, 3, pods),
        service(HOOKS, PORTS),
        service(f"{HOOKS}-headless", {8443: 8443}, clusterIP="None"),
        service(f"{HOOKS}-empty", {443: 8443}, **nobody),
        elsewhere,
    ]


def _resource(of: authorities.Credential) -> Object:
    """Stored as v2; v1 is made of it, and it of v1, by the webhook."""

    def version(name: str, field: str) -> Object:
        spec = {"type": "object", "properties": {field: {"type": "string"}}}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        return {"name": name, "served": True, "storage": name == "v2", "schema": schema}

    conversion = {
        "strategy": "Webhook",
        "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": at(HOOKS, "/convert", of, port=65535)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}", "labels": _LABELS},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": PLURAL, "singular": "berth", "kind": "Berth", "listKind": "BerthList"},
            "versions": [version("v1", "name"), version("v2", "title")],
            "conversion": conversion,
        },
    }


def _metrics(of: authorities.Credential) -> list[Object]:
    """The metrics server with its rights, two pods in two zones. It asks each kubelet, whose certificate it checks."""
    account = {"kind": "ServiceAccount", "name": METRICS, "namespace": NAMESPACE}
    rbac = "rbac.authorization.k8s.io"

    def bound(kind: str, name: str, to: str, **metadata: str) -> Object:
        role = {"apiGroup": rbac, "kind": "Role" if kind == "RoleBinding" else "ClusterRole", "name": to}
        metadata_of = {"name": name, "labels": _LABELS, **metadata}
        return {
            "apiVersion": f"{rbac}/v1",
            "kind": kind,
            "metadata": metadata_of,
            "roleRef": role,
            "subjects": [account],
        }

    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    flags = {
        "secure-port": "4443",
        "tls-cert-file": "/tls/tls.crt",
        "tls-private-key-file": "/tls/tls.key",
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-certificate-authority": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
        "metric-resolution": "10s",
        "kubelet-request-timeout": "5s",
    }
    command = ("/bin/metrics-server", *(f"--{name}={value}" for name, value in flags.items()))
    ready = {"httpGet": {"scheme": "HTTPS", "port": 4443, "path": "/readyz"}, "periodSeconds": 2}
    pods = _pods(METRICS, METRICS_IMAGE, command, readinessProbe=ready)
    pods["spec"]["serviceAccountName"] = METRICS
    served = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        **at(METRICS, "", of),
    }
    del served["service"]["path"]
    role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": METRICS, "labels": _LABELS}}
    api = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
    made = _namespaced("v1", "ServiceAccount", METRICS, {})
    del made["spec"]
    return [
        made,
        {**role, "rules": rules},
        bound("ClusterRoleBinding", METRICS, METRICS),
        bound("ClusterRoleBinding", f"{METRICS}-delegates", "system:auth-delegator"),
        bound("RoleBinding", METRICS, "extension-apiserver-authentication-reader", namespace="kube-system"),
        _deployment(METRICS, 2, pods),
        service(METRICS, {443: 4443}, selector={"app": METRICS}),
        {**api, "metadata": {"name": "v1beta1.metrics.k8s.io", "labels": _LABELS}, "spec": served},
    ]


def _keeper() -> list[Object]:
    """A set whose pods have a volume each, and what makes it larger: their memory, as the metrics API has it."""
    pods = _pods(KEEPER, shared.IMAGE, ("/bin/visitor", "serve", "8080"), resources={"requests": {"memory": "8Mi"}})
    pods["spec"]["containers"][0]["volumeMounts"] += [{"name": "kept", "mountPath": "/kept"}]
    pods["spec"]["terminationGracePeriodSeconds"] = 0
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    spec = {
        "serviceName": KEEPER,
        "selector": {"matchLabels": {"app": KEEPER}},
        "template": pods,
        "volumeClaimTemplates": [{"metadata": {"name": "kept"}, "spec": size}],
    }
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "100Ki"}}
    scaled = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": KEEPER},
        "minReplicas": 1,
        "maxReplicas": 2,
        "metrics": [{"type": "Resource", "resource": memory}],
    }
    return [
        _namespaced("apps/v1", "StatefulSet", KEEPER, spec),
        _namespaced("autoscaling/v2", "HorizontalPodAutoscaler", KEEPER, scaled),
    ]


@dataclass(frozen=True)
class Bundle:
    """One that is up."""

    cluster: shared.Cluster
    certificate: authorities.Credential

    def unwell(self) -> str:
        """What of it is not as it should be; empty when all is well. The webhook and the metrics API are asked."""
        try:
            with self.cluster.api(10) as api:
                return self._unwell(api)
        except OSError as away:
            return str(away)

    def _unwell(self, api: kube.Api) -> str:
        late = [
            one["metadata"]["name"]
            for kind, is_up in _IS_UP.items()
            for one in api.ask("GET", kube.path(kind, namespace=NAMESPACE)).json["items"]
            if not is_up(one)
        ]
        if late:
            return ", ".join(late)
        path = kube.path("configmaps", namespace=NAMESPACE)
        asked = api.ask("POST", path, config_map("mutate"), {"dryRun": "All"})
        if asked.status >= 300 or "seen-by" not in asked.json["metadata"]["labels"]:
            return f"the webhook: {asked.message}"
        return "" if self._measured(api) else "the metrics API knows no node"

    def _measured(self, api: kube.Api) -> set[str]:
        answer = api.ask("GET", MEASURED)
        return {one["metadata"]["name"] for one in answer.json["items"]} if answer.status < 300 else set()

    def measured(self) -> set[str]:
        """The nodes that the metrics API knows, as `kubectl top nodes` shows them."""
        with self.cluster.api(5) as api:
            return self._measured(api)

    def told(self) -> str:
        """What its pods are and say, for whoever looks for what is wrong."""
        asked = (
            ("get", "pods", "-o", "wide"),
            ("get", "events"),
            ("logs", "-l", f"test={NAMESPACE}", "--tail=20", "--prefix"),
        )
        return "\n".join(self.cluster.try_kubectl("-n", NAMESPACE, *words).stdout for words in asked)

    def until_well(self, seconds: float = shared.WELL) -> float:
        """Seconds until all is well; fails with what is not."""

        def well() -> bool:
            said = self.unwell()
            assert not said, said
            return True

        return waiting.until("the bundle is well", well, seconds)


def _is_up(one: Object) -> bool:
    status, wanted = one["status"], one["spec"]["replicas"]
    return bool(status.get("readyReplicas", 0) == wanted == status.get("updatedReplicas", wanted))


def _is_everywhere(one: Object) -> bool:
    status = one["status"]
    return bool(status.get("numberReady", 0) == status["desiredNumberScheduled"] > 0)


_IS_UP = {"statefulsets": _is_up, "deployments": _is_up, "daemonsets": _is_everywhere}


@contextlib.contextmanager
def running(cluster: shared.Cluster) -> Iterator[Bundle]:
    """All of it is up; afterwards nothing of it is left."""
    made = Bundle(cluster, certificate(dt.datetime.now(dt.UTC)))
    archive = cluster.service.folder / "metrics-server.tar"
    program = images.ImageFile(shared.built(cluster.service.folder, "metrics"), 0o755)
    arch = engine.get("pause").arch
    images.write(images.Image(name=METRICS_IMAGE, arch=arch, tree={"bin/metrics-server": program}), archive)
    cluster.load_image(archive)
    try:
        cluster.apply(*objects(made.certificate))
        try:
            print(f"\nthe bundle was up after {made.until_well(_READY):.1f} s")
        except BaseException:
            print(made.told())
            raise
        yield made
    finally:
        # An API that nobody serves any more would keep its namespace.
        for kind in _CLUSTER_WIDE:
            cluster.try_kubectl("delete", kind, "-l", f"test={NAMESPACE}", "--ignore-not-found")
        cluster.try_kubectl("delete", "rolebinding", METRICS, "-n", "kube-system", "--ignore-not-found")
        cluster.try_kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")

        def gone() -> bool:
            return cluster.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found") == ""

        waiting.until("nothing of the bundle is left", gone, 60)


def stranger() -> str:
    """The address of `OUTSIDE`."""
    return world.NAMES[OUTSIDE]
