"""The foundation: errors, ids, folders, the one loop and what wakes it.

Everyone may call it. It imports nothing of ours and touches nothing of Linux but the clock.
"""
