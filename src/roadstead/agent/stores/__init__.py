"""Stores of images: what containerd keeps once it has imported archives, made once and copied to disks of new nodes.

For the agent only. To import costs each node 0.9 s of a processor, to copy a tenth of that. `stores` keeps the stores
and makes one when it is asked for, `making` runs a containerd that imports into a folder, `copying` fills a disk, and
`children` starts programs that end with the agent. It never decides which host gets what, and a store that cannot be
made is nobody's end: its nodes import for themselves.
"""
