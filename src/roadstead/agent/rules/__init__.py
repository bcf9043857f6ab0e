"""Rules: the nftables table of this instance in each router, in each node and in the machine's namespace.

What for: source checks, black zones, egress, published ports, who of the machine may enter a network.
Who may call it: `agent.fabric` and `agent.pods`. What it never does: touch another owner's table, or let a word that a
customer wrote into a rule: only interface names computed from ids, addresses and numbers.

    text     from facts to a table (pure)
    tables   a table as text, what changes between two by elements, and what a listing says (pure)
    applied  one table in one namespace, and what was put there last
    nft      libnftables in process, or the program; the kernel's count of changes
"""
