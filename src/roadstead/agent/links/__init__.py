"""Links: network namespaces, the veth pairs between them, addresses, routes, neighbours.

What for: a router namespace per network and a namespace per host, wired without bridges and without ARP: each leg
of a host is one veth to its network's router, with a /32 address and the next hop 169.254.1.1.
Who may call it: `agent.fabric` alone. What it never does: filter or translate packets (that is `rules`), start a
process, or decide what is wanted.

    topology    what is asked for, and what cannot be right in it (pure)
    resources   links, addresses, routes, neighbours: the words of the room (pure)
    wiring      from a topology to the things each namespace must hold (pure)
    plan        from things wanted and things seen to steps (pure)
    kernel      sees a namespace and makes steps, by netlink
    messages    netlink's requests as bytes (pure)
    namespaces  made, entered, removed; sockets opened inside
    numbers     the small numbers that must not collide on a machine, kept on disk
    monitor     tells that something has changed
    forwarding  for whom the machine passes packets on; also asked by `agent.purge`
"""
