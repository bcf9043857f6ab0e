"""What objects of a cluster say, as facts: pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from roadstead.clusters.insights import facts
from roadstead.kube import resources
from roadstead.kube.resources import Json

SYSTEM = "kube-system"
_POD = {"apiGroups": "", "apiVersions": "v1", "operations": "CREATE", "resources": "pods"}
"""What a rule has to cover to be about pods that are made."""


@dataclass(frozen=True)
class Configuration:
    """Of webhooks: an object, and the plural of its kind."""

    plural: str
    thing: Json


def node(thing: Json, ours: Collection[str]) -> facts.NodeVersion:
    """ours: names of nodes whose kube-proxy is of their kubelet's release."""
    info = (thing.get("status") or {}).get("nodeInfo") or {}
    kubelet = str(info.get("kubeletVersion") or "").removeprefix("v")
    name = resources.name(thing)
    proxy = kubelet if name in ours else str(info.get("kubeProxyVersion") or "").removeprefix("v")
    return facts.NodeVersion(name, kubelet, proxy)


def budget(thing: Json) -> facts.Budget:
    """A PodDisruptionBudget: numbers that nobody has counted yet are 0."""
    meta, status = thing["metadata"], thing.get("status") or {}
    return facts.Budget(
        namespace=str(meta["namespace"]),
        name=str(meta["name"]),
        pods=int(status.get("expectedPods") or 0),
        healthy=int(status.get("currentHealthy") or 0),
        wanted=int(status.get("desiredHealthy") or 0),
        allowed=int(status.get("disruptionsAllowed") or 0),
        current=int(status.get("observedGeneration") or 0) >= int(meta.get("generation") or 0),
    )


def webhooks(configurations: Iterable[Configuration], system: Mapping[str, str]) -> list[facts.Webhook]:
    """Those that fail closed, which is the default. system: labels of the namespace kube-system."""
    return [
        facts.Webhook(
            plural=each.plural,
            configuration=resources.name(each.thing),
            name=str(webhook.get("name") or ""),
            service=_service(webhook),
            system_pods=_covers_system_pods(webhook, system),
        )
        for each in configurations
        for webhook in each.thing.get("webhooks") or ()
        if webhook.get("failurePolicy", "Fail") == "Fail"
    ]


def ready(slices: Iterable[Json]) -> int:
    """Endpoints of a Service that are ready. An endpoint that does not say is (EndpointSlice API)."""
    return sum(
        (endpoint.get("conditions") or {}).get("ready") is not False
        for each in slices
        for endpoint in each.get("endpoints") or ()
    )


def writers(things: Iterable[Json], version: str) -> tuple[facts.ApiWriter, ...]:
    """Who wrote objects by that apiVersion, each with the last time. version: `policy/v1beta1`."""
    last: dict[str, float] = {}
    for thing in things:
        for entry in (thing.get("metadata") or {}).get("managedFields") or ():
            if entry.get("apiVersion") == version and entry.get("time"):
                manager, at = str(entry.get("manager") or "unknown"), _seconds(str(entry["time"]))
                last[manager] = max(at, last.get(manager, 0.0))
    return tuple(facts.ApiWriter(manager, last[manager]) for manager in sorted(last))


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector fits. One that says nothing fits everything."""
    if any(labels.get(name) != value for name, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(each, labels) for each in selector.get("matchExpressions") or ())


def _expression(each: Json, labels: Mapping[str, str]) -> bool:
    name, values = each.get("key", ""), each.get("values") or ()
    match each.get("operator"):
        case "In":
            return labels.get(name) in values
        case "NotIn":
            return labels.get(name) not in values
        case "Exists":
            return name in labels
        case "DoesNotExist":
            return name not in labels
    return False


def _service(webhook: Json) -> str:
    service = (webhook.get("clientConfig") or {}).get("service")
    return f"{service['namespace']}/{service['name']}" if service else ""


def _covers_system_pods(webhook: Json, system: Mapping[str, str]) -> bool:
    """Whether every pod that is made in kube-system is shown to it. Conditions in CEL, and selectors of objects, may
    exempt some: then it is not said of it."""
    if webhook.get("matchConditions") or webhook.get("objectSelector"):
        return False
    if not selects(webhook.get("namespaceSelector") or {}, system):
        return False
    return any(
        all(not {wanted, "*"}.isdisjoint(_words(rule, member)) for member, wanted in _POD.items())
        and rule.get("scope", "*") in ("*", "Namespaced")
        for rule in webhook.get("rules") or ()
    )


def _words(rule: Json, member: str) -> set[str]:
    """Of a rule's list. `*/*` is all resources with their subresources."""
    return {"*" if word == "*/*" else str(word) for word in rule.get(member) or ()}


def _seconds(time: str) -> float:
    try:
        return dt.datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
