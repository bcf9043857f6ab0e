"""What is given to a cluster for its life: addresses and a port, and its secrets.

For the provider and serve's tasks. All of it is kept in the store before anything is made with it, and taken back when
the cluster is gone. It never asks the agent for hosts.

    allocator        what a cluster and each of its nodes are given, and when it is taken back
    ipam             which addresses of a VPC belong to whom (pure)
    cluster_secrets  authorities, keys and files: made once, sealed in the store, lent to the agent
    names            what hosts and networks are called at the agent (pure)
"""
