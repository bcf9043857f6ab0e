"""Who may do what: asked of an authorizer for every operation, after its input was validated and before it is done.

What for: an operation says what it is about (`calls.operation`), and here that becomes the question whether its caller
may. Who may call it: dispatch, and operations by `Call.may`. What it never does: let through what was not answered yes.

requests        the question, the caller, the answer, and who answers
inputs          what an input has at a path, and whether a model has the path
resources       what operations are about: ARNs by templates
context         condition keys, and what they are by the input
gate            the question that a declaration and a request make, asked
declarations    what a declaration says that its model lacks
administrators  the authorizer until policies are evaluated
"""
