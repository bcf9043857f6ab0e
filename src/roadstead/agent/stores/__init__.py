"""Stores of images: what containerd keeps once it has imported archives. Made once, disks of new nodes begin with them.

For the agent only. To import costs each node 0.9 s of a processor. `stores` keeps the stores and makes one when it is
asked for, `making` runs a containerd that imports into a folder, `sharing` decides what disks get of it and what they
only lead to, `copying` fills a disk, and `children` starts programs that end with the agent. It never decides which
host gets what, and a store that cannot be made is nobody's end: its nodes import for themselves.
"""
