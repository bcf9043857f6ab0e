"""The operations of IAM that clusters need: roles and their managed policies, users and their access keys.

roles   roles, and which managed policies they have
users   users and access keys
views   what is shown, in the shapes of IAM's model
"""
