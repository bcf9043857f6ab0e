"""Networks and the legs of hosts: the rooms links and rules, put together.

For the agent's work. It decides nothing that the pure parts of those rooms do not decide.

    fabric    the face: async, one thread for all work with the kernel
    executor  what that thread does
    space     one namespace that is open: its links and its table of rules
    facts     topology and allotments to what the rules are made of
"""
