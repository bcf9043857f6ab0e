"""The way to a cluster's API: HTTP, watches and errors, and nothing of what is said.

Who may call it: the controllers, the tests. What it never does: decide, or know an object's meaning.

    answers     an API server's refusal as one of our errors
    resources   where objects of a kind are found
    connection  requests to the API servers of one cluster, one after the other until one answers
    mirror      a watched copy of a list
    applying    several objects put in place, those that others name first

Why not a client library: lightkube 1.0.1 (Apache-2.0, kept) was tried. It costs 140 ms of import and 5 MB, which would
do; but it brings a second HTTP stack beside aiohttp (twelve packages), knows one server where a cluster has three, and
takes its objects as dataclasses of one Kubernetes minor, where many are served and objects come as plain JSON.
"""
