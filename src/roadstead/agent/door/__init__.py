"""The agent's door: what may be asked of it, and how.

Only the composition root builds it. It writes desired states and nothing else; it never touches Linux.

    api          HTTP + JSON over a unix socket
    accept       batches: decided, checked, kept, woken; one at a time
    generations  pure: what a batch does to the desired states
    checks       pure: what may be asked, over all desired states together
"""
