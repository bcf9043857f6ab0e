"""The provider on a machine: what clusters and nodegroups are made of at the agent of one machine.

For serve, which builds them and gives them to the reconciler as its `Agent`. They decide nothing about order or safety
(that is the plan's), but they know how a part is drawn: its hosts, units, files and addresses. Allotments and secrets
are kept in the store before anything is made with them. They never touch Linux.
"""
