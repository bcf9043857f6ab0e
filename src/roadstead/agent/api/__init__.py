"""The agent's API: what may be asked of it, and how.

Only the composition root builds it. It writes desired states and nothing else; it never touches Linux.

    server       HTTP + JSON over a unix socket
    admission    batches: decided, checked, kept, woken; one at a time
    generations  pure: what a batch does to the desired states
    checks       pure: what may be asked, over all desired states together
"""
