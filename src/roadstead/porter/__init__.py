"""What running clusters ask at run time: porter's rooms. They answer from what serve has left, without serve.

Who may call it: porter. What it never does: open a privileged socket (the agent passes them), mint a credential, change
anything, write down a token or what a customer's pods look up.

    sections       what serve has left, a file for each, read again when it is another one
    tokens         whose a token is (pure)
    authorization  what names of the house's own may do in a cluster (pure)
    webhook        reviews of tokens and of access that API servers ask for, over TLS
    dns_messages   DNS messages, as far as a resolver looks into them (pure)
    dns            the resolver of VPCs: the names of hosts itself, all others from the machine's resolvers
    upstream       the machine's resolvers
    peer           the other porter, which answers on the same sockets
    listeners      the sockets that the agent passes, each with who answers there
"""
