"""What the agent remembers: desired states and blobs on disk, observations in memory.

For the agent's API and work. It decides nothing.

    desired          the desired states, the user ids of hosts, and jobs: one sqlite database
    blobs            bytes by digest
    observation_log  observations, their revisions, and those who watch
"""
