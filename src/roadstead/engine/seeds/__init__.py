"""Seeds: snapshots of etcd that hold what every API server of a release writes at its first start.

An API server that finds its bootstrap objects (roles, API services, flow schemas, priority classes) is ready 2 s
sooner than one that makes them; it compares each with its own, so a seed decides nothing. For `engine` alone. A seed
is made from an etcd and an API server of nobody's, and keeps only kinds that say nothing of a cluster: no name, no
address, no authority, no Secret. Never from a user's cluster.
"""
