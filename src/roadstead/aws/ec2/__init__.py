"""The operations of EC2 that clusters need. VPCs and subnets are kept; instances are the nodes of nodegroups.

filters           `Filters` of a Describe operation, and DryRun
ids               what cannot be an id, told apart from one that there is not
vpcs              VPCs: create, describe, delete
subnets           subnets: create, describe, change, delete
tags              tags of both
offers            regions, zones
instance_types    what AWS says of each type of instance, and where they are
instances         instances, and how they are
instance_filters  what instances are filtered by
vpc/              what each VPC has by itself: security groups, routes, interfaces; the default VPC made anew
absent, nothing   what there never is here, and what makes operations that answer empty lists
service           what serve is given of it
"""
