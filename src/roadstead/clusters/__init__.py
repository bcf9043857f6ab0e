"""Clusters: the office of control planes and nodegroups. What was asked for becomes steps of the agent.

Who may call it: the front desk (`spec`, `nodegroups`, `updates`, `views`, `versions`) and the composition
root (`office`). What it never does: speak AWS protocols, touch Linux, write a desired state (the front desk does).

    spec         a cluster as it is wanted: request and filled-in form
    nodegroups   a nodegroup as it is wanted
    updates      the book of updates
    events       the book of events
    things       what the plan needs to know of a cluster or a nodegroup
    lifecycles   tables of states
    versions     the versions of Kubernetes that are offered
    observed     what is seen
    plan         from wanted and seen to the steps that are safe now (pure)
    agent        what is asked of the agent
    office       the loop: sees, plans, applies
    views        what is shown, in the shapes of EKS's model
    trust/       authorities, keys, certificates
    components/  flags and files of each component
    ground/      addresses, a port and secrets of a cluster
    hands/       what `agent` is on a machine
    access/      who may come in: entries, and what porter is told
    capacity/    what the machine can carry

Kept in the store: `cluster/NAME`, `nodegroup/CLUSTER/NAME` (desired states and observations); `ground/CLUSTER`,
`allotment/VPC`, `access-entry/CLUSTER/PRINCIPAL` (desired states); `materials/CLUSTER` (a secret);
`update/CLUSTER/ID` and `nodegroup-update/CLUSTER/NODEGROUP/ID` (records); `event/KIND/NAME...` (records).
"""
