"""What the machine can carry: whether what is asked for fits, before anything of it is kept.

The doctor counts by the same sums. For the AWS API, which refuses what does not fit, and for the allocator, which keeps
clear of the machine's own networks. It reads the store alone: serve's tasks keep the machine's facts there. It never
asks the agent.

    facts       the machine as it was seen last, in the store
    sums        memory and disk: what is there, what is promised, what is asked for (pure)
    promises    what clusters and nodegroups are promised, read from the store
    pace        how much longer than usual components wait for each other on a machine (pure)
    subnets     addresses and networks of pods: whether a subnet has room for nodes
    neighbours  the machine's own networks that a VPC covers (pure)
"""
