"""Modules and files that `from_pretrained` loads: pooling, sparse masked-LM forward, LoRA, checkpoint files.

Import from the submodules; this room knows nothing of trainers and scripts.
"""
