"""Sees and makes what pods have in their own and their node's namespace. It blocks; the fabric's thread alone calls it.

A node with many pods takes long to list, and a pod is made every few milliseconds: links are asked for by name, and
what is put is put whole, again where it is there already.
"""

from __future__ import annotations

import errno
import os
from concurrent import futures
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.agent.links import kernel, namespaces, plan, resources, wiring
from roadstead.agent.pods import addresses as pod_addresses
from roadstead.agent.pods import cni
from roadstead.agent.rules import applied, tables, text
from roadstead.core import errors

if TYPE_CHECKING:
    from pathlib import Path

    from roadstead.core import instance as instances


_REMOVERS = 8
_LOOK = 0.0005
"""Seconds between two looks at a link that is about to go."""


@dataclass(frozen=True)
class PodNode:
    """A node as its pods need it."""

    id: str
    address: str
    prefixes: tuple[str, ...]
    netns: Path
    addresses: Path
    """The file of its addresses."""


@dataclass
class _Open:
    """A node's namespace, kept open, and its addresses."""

    inode: int
    kernel: kernel.Kernel
    rules: applied.AppliedTable
    addresses: pod_addresses.PodAddresses

    def close(self) -> None:
        self.kernel.close()
        self.rules.close()


class PodExecutor:
    """The nodes whose pods were asked about."""

    def __init__(self, instance: instances.Instance) -> None:
        self._instance = instance
        self._nodes: dict[str, _Open] = {}
        self._removers = futures.ThreadPoolExecutor(_REMOVERS, "links")

    def close(self) -> None:
        self._removers.shutdown()
        for opened in self._nodes.values():
            opened.close()
        self._nodes.clear()

    def forget(self, id: str) -> None:
        """Close the node's namespace, which lives for as long as it is open here."""
        opened = self._nodes.pop(id, None)
        if opened is not None:
            opened.close()

    def add(self, node: PodNode, asked: cni.CniRequest, namespace: int | None) -> wiring.Pod:
        """The pod wired, with the address that it had already or a fresh one.

        Raises Denied for a namespace that is no pod's, LimitExceeded when the prefixes are used up, Failed.
        """
        inside = self._pod_netns(node, namespace)
        ports = cni.ports(asked.config)
        opened = self._open(node)
        known = opened.addresses.find(asked.container, asked.device)
        address = known.address if known else self._free_address(node, opened)
        entry = pod_addresses.PodAddress(asked.container, asked.device, asked.config.name, address, ports)
        if entry != known:
            self._write(node, opened, pod_addresses.with_entry(opened.addresses, entry))
        pod = self._pod(node, entry)
        try:
            opened.rules.put_unseen(self._rules(opened, node))
            self._wire(node, opened, pod, inside, known=known is not None)
        except errors.Error:
            self._take_down(node, opened, frozenset((entry.key,)))
            raise
        return pod

    def delete(self, node: PodNode, container: str, device: str) -> None:
        """The pod's veth and address are free; also when it never was."""
        self._take_down(node, self._open(node), frozenset(((container, device),)))

    def check(self, node: PodNode, asked: cni.CniRequest, namespace: int | None) -> None:
        """Raises NotFound for a pod that was never added, Failed with what differs."""
        opened = self._open(node)
        entry = opened.addresses.find(asked.container, asked.device)
        if entry is None:
            raise errors.NotFound(f"container {asked.container} has no {asked.device} on node {node.id}")
        pod = self._pod(node, entry)
        near = opened.kernel.see()
        with kernel.Kernel(self._pod_netns(node, namespace)) as inside:
            far = inside.see()
        steps = [*plan.plan(wiring.node_side(pod, node.address), near)]
        # What a pod adds to its own namespace is its own affair.
        steps += [step for step in plan.plan(wiring.pod_side(pod), far) if isinstance(step, plan.PutLink)]
        found = [plan.say(step) for step in steps]
        if not plan.pair_is_whole(wiring.pod_pair(pod), near, far):
            found.append(f"{pod.device} and {pod.link} are not one pair")
        if found:
            raise errors.Failed(f"container {asked.container}: {'; '.join(found)}", address=pod.address)

    def collect(self, node: PodNode, network: str, kept: frozenset[tuple[str, str]]) -> None:
        """Only these pods of the network stay; links of ours that no pod has go too."""
        opened = self._open(node)
        leaving = frozenset(entry.key for entry in opened.addresses.entries if entry.network == network) - kept
        self._take_down(node, opened, leaving)
        wanted = {self._pod(node, entry).link for entry in opened.addresses.entries}
        strays = [name for name in self._links(opened) if name not in wanted]
        opened.kernel.make([plan.Drop(resources.Link(name)) for name in strays])

    def restore(self, node: PodNode) -> list[str]:
        """Routes, neighbours and rules of the node's pods as they were made; what was missing, for a human."""
        opened = self._open(node)
        # Whoever runs in the node may have changed them.
        opened.rules.put(self._rules(opened, node))
        view = opened.kernel.see()
        found = []
        for entry in opened.addresses.entries:
            pod = self._pod(node, entry)
            if pod.link in view.links:
                steps = plan.plan(wiring.node_side(pod, node.address), view)
                opened.kernel.make(steps)
                found += [plan.say(step) for step in steps]
        return found

    def _open(self, node: PodNode) -> _Open:
        """Raises Busy while the node has no namespace."""
        if not namespaces.exists(node.netns):
            raise errors.Busy(f"node {node.id} has no network yet", node=node.id)
        inode = node.netns.stat().st_ino
        opened = self._nodes.get(node.id)
        if opened is not None and opened.inode == inode:
            return opened
        self.forget(node.id)
        with namespaces.opened(node.netns) as namespace, namespaces.entered(namespace):
            rules = applied.AppliedTable(self._instance.nft_table)
        opened = _Open(inode, kernel.Kernel(node.netns), rules, pod_addresses.PodAddresses())
        try:
            opened.addresses = self._load(node, opened)
        except errors.Error:
            opened.close()
            raise
        self._nodes[node.id] = opened
        return opened

    def _load(self, node: PodNode, opened: _Open) -> pod_addresses.PodAddresses:
        """Raises Failed for a damaged addresses of a node that has pods."""
        try:
            return pod_addresses.load(node.addresses)
        except errors.Failed:
            # The machine lost its power while the file was written: then no pod is left either.
            if self._links(opened):
                raise
            return pod_addresses.PodAddresses()

    def _pod_netns(self, node: PodNode, namespace: int | None) -> Path:
        """Where the passed namespace can be opened. Raises Denied for one that is not a pod's."""
        if namespace is None:
            raise errors.Denied("CNI_NETNS names no network namespace that could be opened")
        if not namespaces.is_network(namespace):
            raise errors.Denied("CNI_NETNS is not a network namespace")
        given = os.fstat(namespace)
        others = (node.netns, self._instance.machine_netns or namespaces.OWN, namespaces.OWN)
        if any(os.path.samestat(given, other.stat()) for other in others):
            raise errors.Denied("CNI_NETNS is the namespace of the node itself")
        return namespaces.descriptor(namespace)

    def _free_address(self, node: PodNode, opened: _Open) -> str:
        """Raises LimitExceeded when all are in use, by pods whose links are there."""
        forbidden = frozenset((node.address,))
        address = pod_addresses.free_address(opened.addresses, node.prefixes, forbidden)
        if address is None:
            # A runtime that lost its records never deletes; the links of its pods are gone with them all the same.
            there = self._links(opened)
            addresses = pod_addresses.without(opened.addresses, lambda entry: self._pod(node, entry).link not in there)
            self._write(node, opened, addresses)
            address = pod_addresses.free_address(addresses, node.prefixes, forbidden)
        if address is None:
            held = ", ".join(node.prefixes) or "none"
            raise errors.LimitExceeded(
                f"node {node.id}: no address is free for another pod ({len(opened.addresses.entries)} are in use; its "
                f"prefixes: {held})",
                node=node.id,
            )
        return address

    def _wire(self, node: PodNode, opened: _Open, pod: wiring.Pod, netns: Path, *, known: bool) -> None:
        pair = wiring.pod_pair(pod)
        with kernel.Kernel(netns) as inside:
            if not (known and _is_whole(pair, opened.kernel, inside)):
                with namespaces.opened(netns) as namespace, namespaces.entered(namespace):
                    namespaces.write_settings(wiring.POD_SETTINGS)
                self._join(pair, opened.kernel, inside)
            # The node first: the pod's first packet finds the way back.
            opened.kernel.make(plan.plan(wiring.node_side(pod, node.address), resources.View()))
            inside.make(plan.plan(wiring.pod_side(pod), resources.View()))

    def _join(self, pair: resources.Pair, near: kernel.Kernel, far: kernel.Kernel) -> None:
        """The veth, which is most often not there; to look first would cost a fifth of the whole.

        Raises Denied when the pod has another interface of that name.
        """
        try:
            near.add_pair(pair, far)
        except errors.Failed as error:
            if error.facts.get("errno") != str(errno.EEXIST):
                raise
            if far.link(pair.far.name) is not None:
                raise errors.Denied(f"the pod has a {pair.far.name} already, which is not ours") from error
            near.make([plan.Drop(pair.near)])
            near.add_pair(pair, far)

    def _take_down(self, node: PodNode, opened: _Open, keys: frozenset[tuple[str, str]]) -> None:
        """Links first, then the addresses: an address is not free before nobody has it."""
        self._remove(node, opened, [wiring.pod_link(self._instance, node.id, *key) for key in keys])
        addresses = pod_addresses.without(opened.addresses, lambda entry: entry.key in keys)
        if addresses != opened.addresses:
            self._write(node, opened, addresses)
            opened.rules.put_unseen(self._rules(opened, node))

    def _remove(self, node: PodNode, opened: _Open, links: list[str]) -> None:
        """Returns when nobody finds them any more.

        The kernel takes a link out of its namespace within a millisecond, and then keeps who asked it for 15 more,
        until no processor can still be at a packet of it: other threads wait for that.
        """
        there = {link: index for link in links if (index := opened.kernel.index(link))}
        going = {link: self._removers.submit(_drop, node.netns, link, index) for link, index in there.items()}
        for link, end in going.items():
            while opened.kernel.index(link) and not end.done():
                futures.wait([end], _LOOK)
            if end.done():
                end.result()

    def _write(self, node: PodNode, opened: _Open, addresses: pod_addresses.PodAddresses) -> None:
        pod_addresses.save(node.addresses, addresses)
        opened.addresses = addresses

    def _pod(self, node: PodNode, entry: pod_addresses.PodAddress) -> wiring.Pod:
        return wiring.Pod(
            address=entry.address,
            device=entry.device,
            link=wiring.pod_link(self._instance, node.id, entry.container, entry.device),
            alias=self._instance.alias("pod", entry.container, entry.device),
        )

    def _links(self, opened: _Open) -> frozenset[str]:
        """The node's ends of its pods' veths."""
        own = self._instance.alias("pod") + "/"
        return frozenset(name for name, link in opened.kernel.links().items() if link.alias.startswith(own))

    def _rules(self, opened: _Open, node: PodNode) -> tables.Table:
        """The node's table. Of two pods that want a port the newer gets it."""
        ports = tuple(
            text.NodePort(port.protocol, port.port, pod.address, port.target_port, pod.link, port.address)
            for entry in reversed(opened.addresses.entries)
            for pod in (self._pod(node, entry),)
            for port in entry.ports
        )
        return text.node(self._instance.nft_table, wiring.POD_LINKS, ports)


def _drop(netns: Path, link: str, index: int) -> None:
    # By its number: a pod that is added meanwhile may have a link of that name.
    with kernel.Kernel(netns) as apart:
        apart.remove(link, index)


def _is_whole(pair: resources.Pair, near: kernel.Kernel, far: kernel.Kernel) -> bool:
    one, other = near.link(pair.near.name), far.link(pair.far.name)
    if one is None or other is None:
        return False
    return plan.pair_is_whole(pair, resources.View({one.name: one}), resources.View({other.name: other}))
