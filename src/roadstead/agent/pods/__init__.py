"""Pods: what a node's CNI program asks for: addresses from the node's prefixes, and veths between pods and their node.

What for: each node host has one unix socket, lent to it; who asks on it is that node and nobody else, and is served
only about its own pods. Who may call it: `agent.kinds`, which says which nodes there are. What it never does: touch a
router, read a word that a customer wrote (pods' names and namespaces are not in a request), or choose a prefix.

    cni        requests and answers in the words of the CNI specification (pure)
    addresses  which pod of a node has which address, kept on disk
    executor   sees and makes links, routes and rules of pods, in the fabric's thread
    pods       the face: sockets, requests, answers
"""
