"""The controllers: work against each cluster's own API, for the lifetime of the cluster.

Who may call it: the composition root, which gives it the targets (which clusters there are, and how to reach them)
and hands on its reports. What it never does: read or write the store, ask the agent, decide which nodes there are.

    facts     what the system's objects are made from
    targets   what the controllers are told of a cluster: servers, credentials, expected nodes
    reports   what it saw there
    rbac      the objects that the house itself needs in a cluster (pure)
    tokens    bootstrap tokens of expected nodes (pure)
    csr       judges a node's request for a certificate (pure)
    nodes     what a Node object says (pure)
    approval  what is done about a request, and about a Node whose host is gone
    system/   CoreDNS, storage classes and the like (pure)
    applying  objects put in place, once per content
    drain     a node's pods are asked to leave
    runtime   one cluster: its watches and its loop
    manager   all of them
"""
