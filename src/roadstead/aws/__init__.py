"""The AWS API: operations of the AWS APIs, each one plain typed function, and the server that they stand behind.

Only the composition root `serve` builds it. It translates: a request into desired states in the store, and desired
states with their observations into answers. It never waits for work, and never touches Linux.
"""
