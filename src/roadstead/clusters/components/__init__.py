"""One pure function per component: facts, version and digests of secrets in; a unit for the agent out.

For the provider. It does no I/O, makes no secret and knows no store; each minor has golden files.
"""
