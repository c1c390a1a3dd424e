"""Tables and figures from result files.

Import from the submodules; this room knows nothing of how the results were made.
"""
