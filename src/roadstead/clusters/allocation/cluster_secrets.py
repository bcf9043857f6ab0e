"""What is secret of clusters: made once, sealed in the store, and lent to the agent as blobs.

One secret per cluster holds all of it, so that a cluster has either all or none; files stay as they are until they are
rotated, since a unit with another file is restarted.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import msgspec
from cryptography import x509

from roadstead.agent_client import asynchronous
from roadstead.clusters import trust
from roadstead.clusters.components import etcd, nodes
from roadstead.clusters.components import facts as components
from roadstead.contract import kubernetes
from roadstead.core import concurrency, errors
from roadstead.store import interface, keys, writes

KIND = "materials"
_LENT_FOR = 600.0
"""Seconds for which a blob that was lent is taken to be there."""
_LENT_MOST = 10_000
"""Blobs from which on those of earlier are forgotten."""

_LIFE = 2 / 3
"""Of a certificate's time, after which it is made anew: what is left is for a machine that is off for months."""

Digests = Mapping[str, Mapping[str, str]]
"""By unit and file."""


@dataclass(frozen=True)
class SecretSet:
    """All of a cluster that is secret."""

    roots: trust.Trust = field(repr=False)
    files: Mapping[str, Mapping[str, bytes]] = field(repr=False)
    """Of the control plane's units."""
    admin: trust.Credential = field(repr=False)
    doors: trust.WebhookIdentity = field(repr=False)
    kube_proxy: bytes = field(repr=False)
    """The kubeconfig of every node's kube-proxy."""
    seed: bytes = field(default=b"", repr=False)
    """What etcd begins with; no secret, and kept here since it may not change once a member was told of it."""
    former: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The client certificates of the house's own users before the last renewal: some may still be in use."""


def key(cluster: keys.Key) -> keys.Key:
    return keys.Key(cluster.account, cluster.region, KIND, cluster.names[0])


class ClusterSecrets:
    """Makes, finds and lends. `now`: when certificates are made; `seeds`: what etcd begins with, by release."""

    def __init__(
        self,
        store: interface.Store,
        client: asynchronous.AsyncClient,
        now: Callable[[], dt.datetime],
        seeds: Callable[[str], Awaitable[bytes]],
    ) -> None:
        self._seeds = seeds
        self._store = store
        self._client = client
        self._now = now
        self._known: dict[keys.Key, SecretSet] = {}
        self._lent: dict[str, float] = {}
        """When each was lent last; the agent forgets after an hour what nothing names."""
        self._forgotten = 0

    async def find(self, cluster: keys.Key) -> SecretSet | None:
        """What was made for a cluster."""
        if cluster in self._known:
            return self._known[cluster]
        before = self._forgotten
        kept = await self._store.secret(key(cluster))
        if kept is None:
            return None
        found = msgspec.msgpack.decode(kept.value, type=SecretSet)
        if before == self._forgotten:
            # Else it may be of a cluster that is gone, and would be taken for that of the next one of its name.
            self._known.setdefault(cluster, found)
        return found

    async def ensure(self, cluster: keys.Key, at: components.Topology, release: str) -> SecretSet:
        """What was made for the cluster, made now if nothing was. release: of Kubernetes, that it begins with."""
        found = await self.find(cluster)
        if found is not None:
            return found
        seed = await self._seeds(release)
        made = replace(await asyncio.to_thread(_made, at, self._now()), seed=seed)
        body = msgspec.msgpack.encode(made)
        await self._store.commit(
            writes.PutSecret(key(cluster), body, writes.Absent()), writes.Require(cluster, writes.Present())
        )
        self._known[cluster] = made
        return made

    async def replace(self, cluster: keys.Key, made: SecretSet, *others: writes.Write) -> None:
        """Keep this instead of what was made before, in one transaction with the others."""
        body = msgspec.msgpack.encode(made)
        await self._store.commit(writes.PutSecret(key(cluster), body, writes.Present()), *others)
        self._known[cluster] = made

    async def forget(self, cluster: keys.Key) -> None:
        """The cluster is gone: so is everything that was secret of it."""
        await self._store.commit(writes.DeleteSecret(key(cluster)))
        self._known.pop(cluster, None)
        self._forgotten += 1

    async def digests(self, cluster: keys.Key, at: components.Topology, release: str) -> Digests:
        """Of each file of the control plane's units; the agent has them all from then on. release: as of `ensure`."""
        made = await self.ensure(cluster, at, release)
        seed = {etcd.SEED: made.seed} if made.seed else {}
        files = trust.completed(at, made.roots, made.files)
        return {
            unit: await self._lend({**each, **(seed if unit.endswith(f"/{etcd.UNIT}") else {})})
            for unit, each in files.items()
        }

    async def of_node(self, cluster: keys.Key, node: components.Node, containerd: Mapping[str, bytes]) -> nodes.Files:
        """The digests of the files of a node's units; containerd's are given.

        Raises Busy while the control plane was never drawn.
        """
        made = await self.find(cluster)
        if made is None:
            raise errors.Busy(f"the control plane of {cluster.names[0]} is not made yet")
        kubelet = {
            "ca.pem": made.roots.cluster.certificate,
            "bootstrap.kubeconfig": trust.bootstrap_kubeconfig(made.roots, node),
        }
        return nodes.Files(
            containerd=await self._lend(containerd),
            kubelet=await self._lend(kubelet),
            kube_proxy=await self._lend({"kubeconfig": made.kube_proxy}),
        )

    async def _lend(self, files: Mapping[str, bytes]) -> dict[str, str]:
        found = {name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in files.items()}
        since = time.monotonic() - _LENT_FOR
        if len(self._lent) > _LENT_MOST:
            self._lent = {digest: at for digest, at in self._lent.items() if at > since}
        missing = {found[name]: each for name, each in files.items() if self._lent.get(found[name], since) <= since}
        async with concurrency.tasks() as tasks:
            for digest, content in missing.items():
                tasks.create_task(self._client.keep_blob(content, digest))
        self._lent |= dict.fromkeys(missing, time.monotonic())
        return found


def due(kept: SecretSet, now: dt.datetime) -> bool:
    """Whether a certificate is so old that all are to be made anew. Pure."""
    roots = {each.certificate for each in (kept.roots.etcd, kept.roots.cluster, kept.roots.front_proxy)}
    found = {content for files in kept.files.values() for content in files.values()}
    found |= {kept.admin.certificate, kept.doors.certificate}
    leaves = [x509.load_pem_x509_certificate(each) for each in found - roots if each.startswith(b"-----BEGIN CERT")]
    return any(
        now > one.not_valid_before_utc + (one.not_valid_after_utc - one.not_valid_before_utc) * _LIFE for one in leaves
    )


def readdressed(kept: SecretSet, at: components.Topology, now: dt.datetime) -> SecretSet:
    """With certificates for the endpoint's address of now. API servers take them up as they run."""
    fresh = trust.reissued(at, kept.roots, now)
    return replace(kept, files={unit: {**files, **fresh.get(unit, {})} for unit, files in kept.files.items()})


def renewed(kept: SecretSet, at: components.Topology, now: dt.datetime) -> SecretSet:
    """Every certificate anew, of the same authorities; what does not take it up as it runs is restarted."""
    return replace(_of(kept.roots, at, now), seed=kept.seed, former=_credentials(kept))


def completed(kept: SecretSet, at: components.Topology) -> SecretSet:
    """With what this release has beside what an earlier one made; the same where that is all."""
    files = trust.completed(at, kept.roots, kept.files)
    return kept if files == kept.files else replace(kept, files=files)


def credentials(kept: SecretSet) -> Mapping[str, tuple[str, ...]]:
    """The client certificates of the house's own users that count, by user: as API servers call them."""
    now = _credentials(kept)
    return {user: tuple(dict.fromkeys((*ids, *kept.former.get(user, ())))) for user, ids in now.items()}


def _credentials(kept: SecretSet) -> Mapping[str, tuple[str, ...]]:
    return {kubernetes.SERVE: (trust.credential_id(kept.admin.certificate),), **trust.credentials(kept.files)}


def _made(at: components.Topology, now: dt.datetime) -> SecretSet:
    return _of(trust.created(at.id, now), at, now)


def _of(roots: trust.Trust, at: components.Topology, now: dt.datetime) -> SecretSet:
    api = f"https://{at.endpoint.private}:{components.API_PORT}"
    return SecretSet(
        roots=roots,
        files=trust.files(at, roots, now),
        admin=trust.admin(roots, now),
        doors=trust.webhook(at, roots, now),
        kube_proxy=trust.kube_proxy_kubeconfig(roots, api, now),
    )
