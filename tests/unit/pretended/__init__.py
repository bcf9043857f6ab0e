"""A service that nobody has: all that a new one is, in one folder. See test_new_service.

spec        what it keeps: one kind
namespaces  its operations
keeper      its reconciler
counting    its controller
service     what serve is given
"""
