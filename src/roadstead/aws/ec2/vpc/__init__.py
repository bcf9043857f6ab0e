"""What each VPC has by itself, as EC2 describes it: it follows from the VPC and what is in it (network.defaults).
No request makes any of it, but that the default VPC and its subnets may be asked for anew.

<<<<<<< HEAD
lookups       the VPCs, subnets and clusters of the call's region
groups        security groups and their rules
routes        route tables and NAT gateways
settings      attributes, DHCP options, network ACLs, and what an account may
default_vpcs  the default VPC and its subnets, made anew
interfaces    network interfaces of nodes and control planes
wishes        what a VPC or subnet may be asked to have and there is not here
absent        what no VPC here ever has
resources     what operations of EC2 are about, and the condition keys that they supply, as IAM has them
=======
lookups      the VPCs, subnets and clusters of the call's region
groups       security groups and their rules
routes       route tables and NAT gateways
settings     attributes, DHCP options, network ACLs, and what an account may
default_vpcs the default VPC and its subnets, made anew
interfaces   network interfaces of nodes and control planes
wishes       what a VPC or subnet may be asked to have and there is not here
absent       what no VPC here ever has
resources    what operations of EC2 are about, and the condition keys that they supply, as IAM has them
>>>>>>> main
"""
