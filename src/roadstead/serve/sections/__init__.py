"""What porter is told: a source for each section of contract.messages.sections, and the task that writes them.

Who may call it: serve's composition root. What it never does: check a token, answer a name.

    publisher    writes each section when something of it has changed
    source       what a section is made of: which changes concern it, and how it is read
    webhooks, access, principals, names    the sources
    catalog      all of them
"""
