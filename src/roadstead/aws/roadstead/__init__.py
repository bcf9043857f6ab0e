"""Our own service: what AWS has no operation for. How Roadstead is doing, what it has room for, what happened.

about     what serve says of itself in the store, where operations read it
status    how Roadstead is doing, and what it has room for
events    what happened to an account's resources
parts     of what a cluster is made
service   what serve is given of it
"""
