"""The controllers: work against each cluster's own API, for the lifetime of the cluster.

Who may call it: the composition root, which gives the manager its targets (which clusters there are, and how to reach
them), a tuple of controllers, and an outbox for what they cause. What they never do: read or write the store, ask the
agent, decide which nodes there are.

    runtime/   what all controllers stand on: manager, cluster runtime, targets, outbox; knows none of them
    nodes/     certificates, bootstrap tokens, labels and taints, drains, what is reported of nodes
    insights/  what is seen in a cluster for its insights
    system/    CoreDNS, storage classes, roles and the like, and how they are put in place
"""
