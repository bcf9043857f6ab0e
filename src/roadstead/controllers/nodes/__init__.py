"""The controllers of nodes: from a node's first certificate until its Node and its pods are gone.

Who may call it: who wires the controllers, and who reads what is reported of nodes (`states`). They never decide which
nodes there are: the target says.

    certificates  controller: requests are approved or denied
    csr           judges a request (pure)
    tokens        controller: bootstrap tokens of expected nodes
    lifecycle     controller: Nodes without a host are deleted, the others have what their nodegroup gives them
    drain         controller: nodes that are to go are drained for their time
    eviction      a node's pods are asked to leave
    states        controller: reports what Nodes say
    node          what a Node object says, and what is to be another way with it (pure)
"""
