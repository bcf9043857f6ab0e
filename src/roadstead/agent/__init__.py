"""The agent: all that touches Linux. Root, one per machine and instance.

It is given desired networks, hosts, units and engines over its API, keeps them on disk, makes them so, and reports
what it sees. It never speaks AWS and never parses what a customer wrote. Its rooms (hosts, units, links, rules) do not
know each other; the others put them together:

    api        what may be asked: the API, checks, generations
    records    desired states and blobs on disk, observations in memory
    hosts      OCI bundles, disks, cgroups, runc
    units      supervised processes of hosts
    links      network namespaces, veth pairs, addresses, routes
    rules      nftables
    ceilings   how much of the machine hosts may have
    idmaps     users of the machine that are a node's own
    stores     images as containerd keeps them, for the disks of new nodes
    kinds      desired state and what is seen to the next step, per object
    fabric     networks and the legs of hosts: links and rules together
    pods       what a node's CNI program asks for
    watching   what wakes the work: the kernel's news, s6's events, time
    jobs       typed one-shot work
    listeners  sockets opened in namespaces and passed to unprivileged processes
    peers      sockets for other users: who may connect, who has, and how many at once
    machine    what the machine has
    pace       how quick the machine is, and how busy
    options    what the agent is told by its command line
    main       the composition root
    purge      takes an instance back from what the kernel and the disk say
"""
