"""The kubeconfig: the cluster's entries put among others, and taken out again.

    entry       one cluster's entries, with eksctl's names. Pure
    merge       the texts of kubeconfig files with the entries in them, or without. Pure
    files       which files, locked and written as kubectl does it
    owner       whose files: root may act for a person

Who may call it: the actions. What it never does: touch another entry.
"""
