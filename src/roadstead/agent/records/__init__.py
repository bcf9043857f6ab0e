"""What the agent remembers: desired states and blobs on disk, observations in memory.

For the agent's API and work. It decides nothing.

    desired          the desired states: one sqlite database, of which each of these four has tables of its own
    host_ids         ids of the machine that are a host's
    begun            units that were ever ready
    kept_jobs        jobs and their results
    register         whose files engines may have
    blobs            bytes by digest
    observation_log  observations, their revisions, and those who watch
"""
