"""The provider on a machine: what clusters and nodegroups are made of at the agent of one machine.

For serve, which builds it and gives it to the reconciler. It keeps what `clusters.provider` promises, and decides
nothing about order or safety: that is the plan's, whose steps say what a part is to be. It knows how such a part is
drawn: its hosts, units, files and addresses. What is allotted, and secrets, are kept in the store before anything is
made with them. It never touches Linux.
"""
