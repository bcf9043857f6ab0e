"""What serve runs behind its desk: the agent's client and mirror, networks, hands, office, embassy, porter's snapshot.

For serve alone, which opens it with a store. It joins rooms that must not know each other, and decides nothing.
"""
