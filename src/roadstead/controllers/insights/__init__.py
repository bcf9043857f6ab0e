"""What is seen in a cluster for its insights: looked for when somebody asks, and every few minutes; nothing is watched
for it alone.

Who may call it: who wires the controllers; what it reports is `clusters.insights.facts`, and judged elsewhere.

    look     controller: looks, and reports what it saw
    asking   what it asks of a cluster's API
    metrics  what an API server counts (pure)
    objects  what objects say (pure)
"""
