"""Connections of HTTP servers: who may connect, how many of them, and how slow they may be.

For the AWS API's server and for porter's webhooks. It knows nothing of what is asked or answered.

    gate         who may connect, and who gives way
    connections  aiohttp's connections with a clock, and a place among callers
"""
