"""HTTP of the AWS API: what comes in over HTTP, who sent it, what becomes of it, what is written down of it.

What for: the one port that AWS's tools speak to. Who may call it: `serve` builds it. What it never does: know any
operation or resource; wait for work; tell a caller what failed inside.

    dispatch      one request to one answer: signature, operation, validation, tokens, pages, errors; no sockets
    server        connections: limits of number, size and time; TLS; /healthz /metrics /coverage
    metrics       counts and durations, in Prometheus's text form
    logs          one JSON line per request
    certificates  a CA of our own and the server's certificate by it
"""
