"""A stage for names of the house's own: an API server that decides as clusters' do, porter's webhook on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from testkit import authorities
from tests.live import bare_plane

from roadstead.clusters import trust
from roadstead.clusters.components.control import files, policies
from roadstead.clusters.trust import kubeconfigs
from roadstead.contract import kubernetes, listeners
from roadstead.contract.messages.sections import webhooks
from roadstead.kube import connection
from roadstead.porter import tokens, webhook

BEARER = "what-api-servers-show"
CLUSTER = webhooks.Cluster(name="shop", account="1", region="r", certificate="", key="", bearer=BEARER)
_FOLDER = files.at("kube-apiserver", "")


class Door:
    """porter's webhook of one cluster; `close` and `open` it."""

    def __init__(self, authority: authorities.Authority, folder: Path) -> None:
        certificate, key = authority.issue("doors", addresses=["127.0.0.1"])
        (folder / "door.pem").write_bytes(certificate + key)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "door.pem")
        self.cluster = CLUSTER
        self.counts: Counter[str] = Counter()
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def know(self, user: str, credentials: connection.Credentials) -> connection.Credentials:
        """The certificate counts as that user's from now on."""
        ids = (*self.cluster.credentials.get(user, ()), trust.credential_id(credentials.certificate))
        self.cluster = msgspec.structs.replace(self.cluster, credentials={**self.cluster.credentials, user: ids})
        return credentials

    def open(self) -> None:
        up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(up)), daemon=True)
        self._thread.start()
        assert up.wait(10)

    def close(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self, up: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        door = webhook.Webhook(lambda: tokens.Known(self.cluster, {}, {}), self.counts)
        there: list[asyncio.Protocol] = []

        def connected() -> asyncio.Protocol:
            there.append(door.protocol())
            return there[-1]

        server = await self._loop.create_server(connected, "127.0.0.1", self.port, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        up.set()
        await self._end.wait()
        server.close()
        for one in there:
            # As when porter ends: nothing more is said.
            one.drop()  # type: ignore[attr-defined]
        await door.close()


@dataclass
class Place:
    plane: bare_plane.Plane
    door: Door
    api_server: connection.Credentials
    """By which RBAC decides without the door."""
    users: dict[str, connection.Credentials] = field(default_factory=dict)

    def ask(
        self,
        who: connection.Credentials | str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "",
    ) -> tuple[int, dict[str, Any]]:
        """Status and answer. Who: credentials, or the name of a user who is given some."""
        if isinstance(who, str):
            who = self.users.setdefault(who, self.plane.credentials(who))
        where = urllib.parse.urlsplit(self.plane.server)
        client = http.client.HTTPSConnection(where.netloc, timeout=30, context=connection.tls(who))
        try:
            sent = None if body is None else json.dumps(body)
            more = {"Content-Type": "application/json", **(headers or {})}
            client.request(method or ("GET" if body is None else "POST"), path, sent, more)
            answer = client.getresponse()
            told = answer.read()
            with contextlib.suppress(ValueError):
                return answer.status, json.loads(told)
            return answer.status, {"text": told.decode()}
        finally:
            client.close()

    def refused(self, *words: Any, **more: Any) -> str:
        """Why it is forbidden."""
        status, answer = self.ask(*words, **more)
        assert status == 403, answer
        return str(answer["message"])


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Place]:
    """boss is cluster-admin by RBAC; serve's users have what clusters give them."""
    kept: dict[str, Any] = {}

    def authorized(folder: Path, authority: authorities.Authority) -> Mapping[str, str]:
        door = kept["door"] = Door(authority, folder)
        door.open()
        certificate, key = authority.issue(kubernetes.API_SERVER)
        kept["api"] = connection.Credentials(ca=authority.pem, certificate=certificate, key=key)
        chain = policies.authorization([trust.credential_id(certificate)]).replace(_FOLDER, f"{folder}/")
        (folder / "authorization.yaml").write_text(chain)
        where = f"https://127.0.0.1:{door.port}{listeners.AUTHORIZE}"
        (folder / "authorization.kubeconfig").write_bytes(kubeconfigs.of_token(where, authority.pem, BEARER))
        return {"authorization-config": f"{folder}/authorization.yaml"}

    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(bare_plane.running(folder, authorized))
        stack.callback(lambda: kept["door"].close())
        place = Place(plane, kept["door"], kept["api"])
        admin = plane.credentials("test", "system:masters")
        for user, role in (("boss", "cluster-admin"), (kubernetes.API_SERVER, "view")):
            status, answer = place.ask(
                admin, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", bound(user, role)
            )
            assert status == 201, answer
        yield place


def bound(user: str, role: str) -> dict[str, Any]:
    api = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{user}-{role}"},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
    }
