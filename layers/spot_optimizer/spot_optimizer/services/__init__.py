"""What each function does: one folder for each folder of ``functions/``, from request to answer.

The handlers in ``functions/`` parse, call one function of their folder and dump the answer.
"""
