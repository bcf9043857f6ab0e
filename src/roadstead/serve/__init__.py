"""serve: the AWS API, and the tasks behind it. It joins rooms that must not know each other, and decides nothing.

main             the program: the store, the account, the operations, the server; then the tasks
tasks            all of them, built once and run as one
wiring           what works on clusters, joined; simulations join it in the same way
targets          the clusters that the controllers go to
report_adapter   what the controllers report, as the provider asks for it
controllers      which controllers are at work in every cluster
event_recorder   what the controllers decide, kept as events
insight_recorder  what was seen in clusters, kept as insights
sections/        what porter is told, in sections: a source for each, and who writes them
renewal          clusters that stand follow what changes outside of them
machine_projection  what the machine has, kept in the store
images/          the images that every node has: made, lent, and given to nodes that run already
names_file       the ids of all clusters at the agent, for commands of this machine
"""
