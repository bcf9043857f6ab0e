"""How much of the machine hosts may have, one by one and all together, and what is near its end.

One pod that forks or takes memory without end is to end there, and not where the machine's own programs are. Called
by hosts, by the machine's facts and by who watches; it knows no host but by what is asked of it, and never ends one.

    plan  from what the machine has and what root keeps to every ceiling (pure)
    see   what the machine has
    near  what is near its end, in sentences (pure)
"""
