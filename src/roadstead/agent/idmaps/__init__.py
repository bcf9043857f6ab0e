"""User namespaces of nodes, and what they see of the machine by mounts with other owners.

A node with a range of ids is root in a user namespace of its own: its uid 0 is the first of the range on the machine,
and nobody there. What is bound into it keeps its owners on the disk and is shown with the node's (idmapped mounts).

    ranges   which ids; pure
    spaces   user namespaces by path, with a network namespace that belongs to each
    views    idmapped mounts
    ability  what this kernel can of it

For the agent's rooms above. It knows no host, and writes no records.
"""
