"""The operations of EKS. They read and write the store only: the reconciler of clusters does the work.

found        the cluster, nodegroup, role or subnets that a request names, or EKS's error
clusters     create, describe, list, delete
changes      changes of a cluster, and the updates that they are
nodegroups   create, describe, list, delete, change
access       access entries and their policies
authorities  the certificate authority of a cluster
absent       what no cluster here ever has: lists that are empty
room         what the machine and a VPC have room for
labels       names, labels and taints that a nodegroup cannot have
versions     which versions are offered
tags         tags of clusters and nodegroups
"""
