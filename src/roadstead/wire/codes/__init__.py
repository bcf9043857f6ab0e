"""Every code that a request can be refused with, by protocol, service and case, and where each of them is from.

What for: clients catch errors by their codes, so that these are the services' own. Who may call it: the codecs, the
AWS API's table of errors. What it never does: decide what is refused.

    table       the candidates for each case, by family of protocols and by service
    choice      of these the code that a service gives for an operation, and its status
    documented  codes that services are known to give beside their models': common errors, EC2's list, what was seen
"""
