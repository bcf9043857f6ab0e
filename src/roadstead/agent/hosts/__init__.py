"""Hosts: emulated computers, each an OCI bundle run by runc with `s6-svscan` as its first process.

For the agent only. It makes a host's root tree, disk, bundle and cgroup, starts, finds, limits, stops and removes it,
and runs single commands in it. It never decides when; it makes no network (the namespace is there before the host) and
knows nothing of units but where their folders are. Others call `hosts.Hosts` with the facts that `see.machine_facts`
read; `processes` waits for and recognises processes. The removal of a whole instance uses `cgroups`, `mounts`, `disk`
and `folders` too.
"""
