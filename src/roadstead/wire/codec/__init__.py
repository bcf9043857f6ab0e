"""Codecs: between bytes and dicts of the model's members, both ways. Called by `wire.server` and `wire.client`.

    times    timestamps in all formats
    scalars  single values as text
    trees    structures as JSON and CBOR trees
    cbor     CBOR bytes
    forms    inputs of query and ec2
    markup   outputs and errors of query and ec2
    rest     routes, labels, query strings and headers of rest-json

Reading raises `exchange.Malformed` and nothing else; writing raises core's Failed for what the model lacks. None of
it does I/O, and none of it knows what a constraint is.
"""
