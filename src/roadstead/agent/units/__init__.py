"""Supervised processes of hosts: s6 service folders, their state, readiness and logs.

Only the modules above the agent's rooms call it, and only through `units.Units`; `service.SYSTEM` names the programs
of the machine that hosts may run. It never makes a host, a network or an engine, never restarts a process because
its health fails, and never decides which of two members goes first.

    service      pure: a unit to the files of its s6 service folder
    change       pure: what a running process must get for a changed definition
    state        pure: s6's status and the unit's own records to one sentence of state
    files        the file edge: atomic replacing, reading what another user may have planted
    supervision  s6's fifos and status files
    pids         process ids of a host's namespace to those of the machine
    probe        TCP, HTTPS and command probes
    logs         reading and following rotated logs
    folders      everything of one unit on disk, written and removed
    units        the face of the room
"""
