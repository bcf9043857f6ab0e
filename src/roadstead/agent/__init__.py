"""The agent: all that touches Linux. Root, one per machine and instance.

It is given desired networks, hosts, units and engines over its API, keeps them on disk, makes them so, and reports
what it sees. It never speaks AWS and never parses what a customer wrote. Its rooms (links, rules, hosts, units) do
not know each other; the modules of this folder put them together:

    api        what may be asked: the API, checks, generations
    records    desired states and blobs on disk, observations in memory
    kinds      desired state and what is seen to the next step, per object
    fabric     networks and the legs of hosts: links and rules together
    watching   what wakes the work: the kernel's news, s6's events, time
    jobs       typed one-shot work
    listeners  sockets opened in namespaces and passed to unprivileged processes
    peers      sockets for other users: who may connect, who has, and how many at once
    main       the composition root
    purge      takes an instance back from disk records alone
"""
