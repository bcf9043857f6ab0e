"""The foundation: what every program and room needs, whatever it is for.

Everyone may call it. It imports nothing of ours, opens no socket and starts no program.

    errors       the handful of errors that are raised
    instance     an instance of Roadstead: its places and names
    ids          ids that follow from a text (pure)
    addresses    arithmetic of addresses (pure)
    lifecycle    life cycles as tables (pure)
    clock        the clock of everything that waits
    concurrency  several things at once
    loops/       the reconciler, and what wakes it
    files/       how files are written and read
    structs      types of messages, made ready before there are threads
    program      what every program does at its start
    foreign      text that somebody else wrote: bounded, escaped
    terminal     what is said to people
    loglines     how logs of lines are written
"""
