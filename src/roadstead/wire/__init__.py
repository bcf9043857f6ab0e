"""Wire: the AWS protocols, pure and without I/O: codecs both ways, model validation, Signature Version 4.

What for: the AWS API reads requests and writes answers with it, the CLI the other way round, the porter checks
signatures. Who may call it: everyone. What it never does: open a socket, ask the time, decide who may do what, or
import anything of ours but core. botocore's code is never imported: `services` reads the model files it ships.

    exchange  Request, Response, Fault, RequestRefused: the vocabulary
    services  a service's model, read from service-2.json: load("eks") -> Service
    shapes    the facts of a model: Operation, Shape, Ref
    server    detect, match, parse_input, render_output, render_error
    client    serialize, parse, parse_error; ServiceError
    validate  problems of an input against its model, and AWS's sentence for them
    patterns  the models' patterns in Python's words
    sigv4      read, verify, check_scope, sign, presign, signing_key
    refusals  why a signature is not accepted, in the words of each protocol
    coding    bodies that are packed
    codes/    every code that a request can be refused with, by service and case
    codec/    the codecs themselves, for server and client
    models/   models of our own: the service `roadstead`

The walk of a request: `sigv4.read` tells whose and for which service it claims to be, `sigv4.verify` believes it,
`server.match` finds the operation, `server.parse_input` its input, `validate.problems` what is wrong with that; the
operation is the caller's; `server.render_output` or `render_error` writes the answer. Every refusal on the way is a
`exchange.RequestRefused` or `refusals.Refusal`, both with a fault that `render_error` can write.
"""
