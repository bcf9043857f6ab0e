"""The operations of EC2 that clusters need. VPCs and subnets are kept; instances are the nodes of nodegroups.

filters     `Filters` of a Describe operation, and DryRun
vpcs        VPCs: create, describe, delete
subnets     subnets: create, describe, delete
tags        tags of both
offers      regions, zones
instance_types  what AWS says of each type of instance, and where they are
instances   instances, and how they are
vpc/        what each VPC has by itself: security groups, routes, interfaces; the default VPC made anew
absent      what there never is here, by `nothing`, which makes operations that answer empty lists
"""
