"""What is seen while a cluster is made or deleted: a live view below the lines, redrawn in place.

    progress  the facts: phases, members, nodes. Pure
    picture   a progress as lines of text that fit a terminal. Pure
    screen    the terminal: lines above, the picture below; or lines alone
    warnings  what the service warns of meanwhile
    follow    asks the service until it is done, and shows it

Who may call it: the actions. What it never does: change anything.
"""
