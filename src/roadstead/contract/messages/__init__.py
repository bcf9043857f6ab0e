"""The types of the agent's API: what is asked of it (desired) and what it saw (observed).

`sections/` is what serve leaves for porter. Pure data for everyone. Every type refuses unknown fields and names the
field that is wrong.
"""
