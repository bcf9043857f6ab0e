"""CLI: eksctl's commands, asked of Roadstead over HTTP like any customer would. A guest in this house.

What for: `roadstead get|create|delete|scale|utils`. Who may call it: the `roadstead` command alone. What it never
does: touch the machine, read the store, or import anything of ours but `wire`, `contract` and `core`; what it can do, a
customer with boto3 can do as well. Nothing here imports botocore, and YAML and HTTP are imported when they are needed.

    grammar/         eksctl's commands and flags as data: meaning, what Roadstead does with each, where it lands
    verbs            click commands made from the grammar
    asked            one call of a command: its flags, its name argument, its config file
    config           ClusterConfig eksctl.io/v1alpha5, frozen: what flags and files fill
    documents        YAML and JSON to ClusterConfig, strictly, complaints with line and column; and back
    defaults         what is left out
    validity         what cannot be, and what Roadstead does not do
    profile          endpoint, region and credentials from the environment and the AWS config
    service          signed requests and their answers
    token            `get-token`: what kubectl runs for a token
    show             tables, JSON, YAML and lines of progress, as eksctl prints them
    actions/         what each command does
    infrastructure/  what belongs to a cluster beside itself: VPC, subnets, roles
    live/            what is seen while a command works
    kubeconfig/      the cluster's entries among others
    page             docs/cli.md from the grammar
"""
