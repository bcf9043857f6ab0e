"""The operations of EKS. They read and write the store only: the reconciler of clusters does the work.

lookups      the cluster, nodegroup, role or subnets that a request names, or EKS's error
clusters     create, describe, list, delete
changes      changes of a cluster, and the updates that they are
nodegroups   create, describe, list, delete, change
access       access entries and their policies
authorities  the certificate authority of a cluster
insights     what may be in the way of an upgrade, and looking again
absent       what no cluster here ever has: lists that are empty
admission/   what is refused though the model lets it pass: more than there is room for, labels
versions     which versions are offered
tags         tags of clusters and nodegroups
resources    what operations are about, and the condition keys that they supply, as IAM has them
service      what serve is given of it
"""
