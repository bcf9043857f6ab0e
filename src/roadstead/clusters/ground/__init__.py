"""What is given to a cluster for its life: addresses and a port (`land`, `allotments`), and its secrets (`materials`).

For the hands and the works. All of it is kept in the store before anything is made with it, and taken back when the
cluster is gone. It never asks the agent for hosts.
"""
