"""`roadstead load image`: images from files into all nodes of a cluster, without a registry.

For the command line and for tests. `names` and `contents` decide, `archives` reads files, `nodes` asks the agent, and
`command` is what a human calls. What is said to be loaded is what the nodes' runtime says that it has. serve takes no
part, and nothing is kept on this machine but what the agent keeps.
"""
