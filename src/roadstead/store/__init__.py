"""The state store: where requests and work meet, and the only place where either keeps anything.

What it holds, each under a key that begins with account and region (`keys`):

- **desired states**: what was asked for, with a generation;
- **observations**: what was seen, naming the generation that it was made from;
- **records**: append-only logs: updates, events, the trail;
- **secrets**: sealed, in a table of their own; a desired state names them.

Bodies are bytes that their owners encode; the store never looks into them. A transaction (`writes`) is all or
nothing, over any keys, under one revision, with expectations that are held against the store before it:
compare-and-set, and "nothing below this prefix has changed since I listed it". Watching from a revision tells which
keys changed, not to what: who is told reads. The last 10,000 changes or so are known; before that it is Gone, and one
lists again.

`interface.Store` is all that others call, with the types of `facts`, `keys` and `writes` and the errors of
`core.errors`. Nothing in it is of sqlite, of a file, or of a process: a PostgreSQL behind it gives revisions under a
lock of the counter's row, and a watch by LISTEN on the table of changes. Only a composition root calls
`sqlite.local.opened`. `following` is how others are woken by it.

What is promised: an answered transaction of desired states, records or secrets is on the disk. One of observations
alone is not flushed by itself, but by the next one that is; a power cut may take an end of them away, never one from
the middle, and what is lost is seen again by looking again. A killed process loses nothing that was answered.
Generations and revisions are never given twice. A damaged store, or one of a newer release, is refused and left as it
is. (What cannot be told from a power cut is damage to the end of the write-ahead log: sqlite reads up to it.)

It never calls anybody, knows no kind of resource, reads no clock.
"""
