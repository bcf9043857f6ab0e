"""What each command does: read what was asked, ask the API, print. Each takes one `asked.FlagValues`.

reach       the connection that a command asks with, and where a long one shows what it does
get         clusters, nodegroups
events      what happened, and what happens
insights    whether a cluster is ready for the next version
create      a cluster: fills the config, begins, tells the end
building    what `create cluster` does, step by step
nodegroups  `create nodegroup`, and the nodegroups of a new cluster
scale       nodegroups
delete      a cluster, nodegroups
access      the kubeconfig
schema      the JSON schema of ClusterConfig
waiting     asking again until something is so
"""
