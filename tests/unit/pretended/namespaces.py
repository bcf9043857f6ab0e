"""Operations of Cloud Map's model."""

from __future__ import annotations

from tests.unit.pretended import spec

from roadstead.aws import calls, store_access
from roadstead.aws.authorization import resources
from roadstead.clusters import events
from roadstead.network import spec as networks
from roadstead.store import writes

_NAMESPACE = (resources.template("namespace", "arn:aws:servicediscovery:{region}:{account}:namespace/{Id}"),)


@calls.operation("servicediscovery", "CreatePrivateDnsNamespace", on=resources.ANYTHING)
async def create_private_dns_namespace(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    last = await store_access.quota(call, spec.NAMESPACES, code="ResourceLimitExceeded")
    key = spec.NAMESPACES.key(call.account, call.region, asked["Name"])
    tags = {tag["Key"]: tag["Value"] for tag in asked.get("Tags", ())}
    await call.store.commit(
        spec.NAMESPACES.put(key, spec.Namespace(asked["Name"], asked["Vpc"], tags), writes.Absent()),
        writes.Require(networks.vpc_key(call.account, call.region, asked["Vpc"]), writes.Present()),
        events.append(key, events.Event("NORMAL", "Asked", "a namespace is asked for"), call.now.timestamp()),
        *last,
    )
    return {"OperationId": store_access.uuid_of(call, "operation")}


@calls.operation("servicediscovery", "GetNamespace", on=_NAMESPACE)
async def get_namespace(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    state = await call.store.get(spec.NAMESPACES.key(call.account, call.region, asked["Id"]))
    if state is None:
        store_access.refuse("NamespaceNotFound", f"There is no namespace {asked['Id']}.")
    seen = state.observation.body.decode() if state.observation else None
    return {
        "Namespace": {
            "Id": asked["Id"],
            "Arn": call.kinds.of(state.key).arn_of(state.desired),
            "Name": spec.NAMESPACES.read(state.desired.body).name,
            "Description": seen or "not seen yet",
        }
    }
