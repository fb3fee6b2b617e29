"""Training of the contour embedding: free tunes, synthetic hums of them, a small network.

``python -m earmark.training.melody`` is the command; see ``docs/models/melody.md``.
"""
