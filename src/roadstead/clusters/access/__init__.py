"""Access: who may come in to a cluster and as whom.

Who may call it: the AWS API, and who tells porter (`entries`). What it never does: check tokens (porter does), bind
policies to roles in a cluster (the controllers do).

    entries    an access entry as it is wanted, and what may be in one
    policies   the access policies there are
    views      entries in the shapes of EKS's model

Kept in the store: `access-entry/CLUSTER/PRINCIPAL` (desired states without observations: they hold as soon as porter
has read them).
"""
