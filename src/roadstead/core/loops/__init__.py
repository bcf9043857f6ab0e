"""Work that goes on for ever: what wakes it, when it is tried again, and what is said of its failures.

`reconciler` is how a loop is made: work for a key, and the sources that wake keys. Under it are `loop` (the queue),
`following` (look at everything, then at what changes), `feed` (what happens, told to who listens), and `complaints`.
Everyone may call it; it knows no store, no agent and no cluster.
"""
