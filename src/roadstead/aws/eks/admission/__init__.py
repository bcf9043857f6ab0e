"""What is refused though the model lets it pass, before anything is kept.

capacity     what the machine and a VPC have room for
labels       names, labels and taints that a nodegroup cannot have
"""
