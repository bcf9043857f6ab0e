"""Clusters: what serve keeps and decides. What was asked for becomes steps of the agent.

Who may call it: the AWS API (`spec`, `nodegroups`, `updates`, `views`, `versions`) and the composition
root (`reconciler`). What it never does: speak AWS protocols, touch Linux, write a desired state (the AWS API does),
but that a cluster whose support ends is to be of the next version.

    spec         a cluster as it is wanted: request and filled-in form
    nodegroups   a nodegroup as it is wanted
    updates      the record of updates
    events       the record of events
    resources    what the plan needs to know of a cluster or a nodegroup
    lifecycles   tables of states
    versions     the versions of Kubernetes that are offered
    observed     what is seen
    plan         from wanted and seen to the steps that are safe now (pure)
    provider     what is asked of the agent
    reconciler   the loop: sees, plans, applies
    views        what is shown, in the shapes of EKS's model
    trust/       authorities, keys, certificates
    components/  flags and files of each component
    allocation/  addresses, a port and secrets of a cluster
    access/      who may come in: entries
    capacity/    what the machine can carry
    end_of_support/  what is announced, and done, when the support of a version ends
    insights/    whether a cluster is ready for the next minor

Kept in the store: `cluster/NAME`, `nodegroup/CLUSTER/NAME`, `insight-report/CLUSTER` (desired states and observations);
`ground/CLUSTER`, `allotment/VPC`, `access-entry/CLUSTER/PRINCIPAL` (desired states); `materials/CLUSTER` (a secret);
`update/CLUSTER/ID`, `nodegroup-update/CLUSTER/NODEGROUP/ID`, `support-notice/CLUSTER` and `event/KIND/NAME...`
(records).
"""
