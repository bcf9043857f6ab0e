"""eksctl's commands and flags as data. Pure; nothing here does anything.

    flags        the vocabulary: Flag, Resource, Verb
    shared       flags that many commands have
    nodegroups   flags and commands about nodegroups
    clusters     flags and commands about clusters
    tree         all verbs with all their resources, those that Roadstead does not have too

Source: eksctl's own sources, release 0.230 (pkg/ctl). What a flag means is said in our words.
"""
