"""What each VPC has by itself, as EC2 describes it: nothing of it is made or changed by a request, it follows from the
VPC and what is in it (network.defaults).

found        the VPCs, subnets and clusters of the call's region
groups       security groups and their rules
routes       route tables and NAT gateways
settings     attributes, DHCP options, network ACLs, and what an account may
interfaces   network interfaces of nodes and control planes
wishes       what a VPC or subnet may be asked to have and there is not here
absent       what no VPC here ever has
"""
