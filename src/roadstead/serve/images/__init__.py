"""The images that every node has: made and lent (`system_images`), and given to nodes that run already (`node_images`).

For serve's tasks. A new node is drawn with them by the provider, which asks for them here.
"""
