"""What belongs to a cluster beside itself: VPC, subnets, roles; and what is asked of the service about them.

    parts     what it is made of: names, tags, the division of addresses. Pure
    bodies    a ClusterConfig as the inputs of CreateCluster and CreateNodegroup. Pure
    lookups   what is there, asked side by side
    refusals  what cannot be made, said before anything is. Pure
    make      makes what is not there, and knows what it made
    unmake    takes it back
    together  calls side by side

Who may call it: the actions. What it never does: make or delete a cluster or a nodegroup.
"""
