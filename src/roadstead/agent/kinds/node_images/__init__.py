"""The images that a new node's disk begins with, for the kind of units alone.

filling  a store on the disk before its containerd is started
imports  what the disk lacks still, before the units that need it are started
"""
