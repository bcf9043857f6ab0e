"""The local commands: what one does at the machine itself, as its owner.

`doctor`, `engine`, `start`, `stop`, `status`, `logs`, `shell`, `load`, `kubectl`, `env`, `api`, `purge`, `uninstall`.
Only a person at a shell calls this room; programs never do. It speaks to a running agent over its socket like anyone
else. It never decides what hosts there should be, and holds nothing open: each command ends.

Modules: `main` (the table of commands, errors, completion), one module or room per command (`kubectl` is in `services`,
`env` and `api` are in `aws`), `caller` (whose command this is), `installation` (the services' environment under /opt),
`supervision` (the root s6 tree), `services` (what their start needs beyond it: port, engines, profile; the first
command of all).
"""
