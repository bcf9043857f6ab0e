"""Network: what serve keeps and decides, and what a region has to offer: zones and instance types.

Who may call it: the AWS API, and the reconciler of clusters. What it never does: speak AWS protocols, touch Linux.

    spec         a VPC and a subnet as they are wanted; which addresses they may have
    regions      regions and their zones: data
    sizes        instance types: data
    default_vpc  the VPC that a region has from its start
    defaults     what each VPC has by itself: security groups, routes, DHCP options
    views        what is shown, in the shapes of EC2's model

Kept in the store: `vpc/ID`, `subnet/ID`, and `region/begun` once a region was looked at.
"""
