"""The end of the support of a cluster's version: announced before, and what is done then.

A cluster is updated to the next minor when the support ends that its `upgradePolicy` gives it: the standard support, or
the extended one. Source: EKS User Guide, "Understand the Kubernetes version lifecycle on EKS".

Who may call it: the service of EKS, whose reconciler it is. What it never does: touch nodes, skip a minor, update a
cluster that is not ACTIVE, or begin a second update while one that it began goes on.

    policy       when the support of a cluster ends, and what is due on a day (pure)
    notices      what was told of it, as events, and as records that say so to who comes next
    reconciler   the loop: looks at each cluster at the start, when it changes, and on each day
"""
