"""The networks of the published checkpoints in PyTorch: the reference of the converted graphs.

Imported only where a checkpoint is converted, or compared with its conversion.  Their parameters
have the names of the published files.
"""
