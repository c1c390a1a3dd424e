"""Numbers from embeddings and predictions; each a plain function.

Import from the submodules; this room knows nothing of trainers and scripts.
"""
