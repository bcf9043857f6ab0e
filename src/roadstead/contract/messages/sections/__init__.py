"""What serve leaves for porter, in sections: all that running clusters ask for at run time, a file for each.

porter answers from these alone, also while serve is down. Each has a revision of its own and is written when something
of it has changed, so that an access entry rewrites no names, and a subnet no keys. Another one is a module here and an
entry in `catalog`; serve has a source for each (serve/sections).

    section      what a section is: its file, its type, its form
    webhooks     clusters and where their API servers ask
    access       who may come in to which cluster, and as whom
    principals   whose an access key is, and what its signatures are checked with
    names        VPCs whose resolvers answer
    catalog      all of them
    former       the one file of earlier releases, as sections
"""
