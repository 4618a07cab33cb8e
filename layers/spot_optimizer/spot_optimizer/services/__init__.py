"""What each function does: one module a function, from request to answer.

The handlers in ``functions/`` parse, call one of these and dump the answer.
"""
