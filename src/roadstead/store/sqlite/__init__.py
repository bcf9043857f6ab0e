"""The store in a folder of this machine: sqlite, one writer's thread, secrets sealed with a key file.

Only composition roots call `local.opened`; everyone else knows `store.interface`. It knows no kind of resource.
"""
