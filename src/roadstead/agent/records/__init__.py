"""What the agent remembers: desired states and blobs on disk, observations in memory.

For the agent's door and work. It decides nothing.

    desired  the desired states, the user ids of hosts, and jobs: one sqlite database
    blobs    bytes by digest
    journal  observations, their revisions, and those who watch
"""
