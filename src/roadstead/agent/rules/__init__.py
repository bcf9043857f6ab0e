"""Rules: the nftables table of this instance in each router and in the machine's namespace.

What for: source checks, black zones, egress, published ports, who of the machine may enter a network.
Who may call it: `agent.fabric` alone. What it never does: touch another owner's table, or let a word that a customer
wrote into a rule: only interface names computed from ids, addresses and numbers.

    text   from facts to the text of a table (pure)
    nft    libnftables in process: applies and lists
"""
