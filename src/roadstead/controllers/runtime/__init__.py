"""What all controllers stand on: a runtime for each cluster, with mirrors that they share.

Who may call it: controllers, which are made of `controller`, and the program that runs them. It knows no controller by
name, and not in which program it runs: nothing of serve, the store, the agent or AWS is imported here.

    targets     what it is told of a cluster: servers, credentials, expected nodes
    facts       what the system's objects of a cluster are made from
    controller  what a controller is: watches, wakes, work
    outbox      what controllers cause: notices, reports
    reports     the last that they reported
    cluster     one cluster: its mirrors, and the controllers at work there
    complaints  what is said of their failures
    manager     all clusters
"""
