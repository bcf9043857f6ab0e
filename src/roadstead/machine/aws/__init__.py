"""Local commands about the AWS APIs: how to call them, and what there is of them.

What for: the `roadstead` command (`env`, `api`). Who may call it: nobody else. What it never does: speak to the store;
it asks the running `serve` over HTTP, or reads the profile that `serve` wrote.
"""
