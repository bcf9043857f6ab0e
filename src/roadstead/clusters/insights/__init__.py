"""Insights: whether a cluster is ready for the next minor of Kubernetes, from what is so now.

Who may call it: the AWS API (`kept`, `views`), the controllers (`facts`, which they find out), serve's recorder
(`around`, `checks`, `kept`). What it never does: ask a cluster's API.

    facts         what was seen: in a cluster, and of it in the store
    finding       what a check says
    deprecations  APIs that the next minor removes, and who uses them
    skew          versions of kubelets and of kube-proxy
    webhooks      webhooks without which nothing can be written
    budgets       disruption budgets that let no pod go
    addresses     room for new nodes
    health        the control plane
    checks        all of them, with their words (these are pure)
    around        what the store knows of a cluster
    kept          what is kept, and what becomes of it when it was looked again (pure)
    views         what is shown, in the shapes of EKS's model (pure)

Kept in the store: `insight-report/CLUSTER`, a desired state (the last refresh that was asked for) and its observation
(what was found).
"""
