"""What programs must agree on, written once: messages, names, paths and numbers that two of them know.

    messages/   the types of the agent's API, of jobs, and of what serve leaves for porter
    paths       of the agent's API
    layout      where things are in a host, and units that both serve and the agent know
    naming      what hosts are called
    listeners   sockets that serve asks for, the agent opens and porter answers on; the paths of its webhook
    kubernetes  users and groups of clusters that serve, porter and API servers know
    leaving     how pods leave a node that goes
    logins      what a login of a customer looks like
    programs    users of the machine, files, environment and defaults between the programs

Everyone may call it (the command line all but the messages). Pure, and it knows nobody's insides: what one program
alone knows does not belong here.
"""
