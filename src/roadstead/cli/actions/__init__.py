"""What each command does: read what was asked, ask the API, print. Each function takes one `asked.Asked`.

reach      the connection that a command asks with
get        clusters, nodegroups, events
scale      nodegroups
delete     a cluster, nodegroups
create     a cluster
schema     the JSON schema of ClusterConfig
waiting    asking again until something is so
"""
