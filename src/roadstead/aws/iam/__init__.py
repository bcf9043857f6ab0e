"""The operations of IAM that clusters need: roles and their managed policies, users and their access keys.

lookups    the role or the user that a request names, or IAM's error
roles      roles, and which managed policies they have
users      users and access keys
policies   AWS's managed policies
account    the account as a whole
absent     what IAM has and there never is here: lists that are empty
resources  what operations are about, and the condition keys that they supply
views      what is shown, in the shapes of IAM's model
service    what serve is given of it
"""
