"""Melodies: from notes, scores and sound to a contour, and from two contours to an alignment.

Conventions.  *Notes* are a float64 array of shape (n, 3): onset and end in seconds, pitch in MIDI
semitones (69 is 440 Hz), ordered by onset and without overlap.  A *contour* is a float32 array of
shape (frames,): the pitch in MIDI semitones of each frame of `HOP` seconds, 0 where nothing sounds.
"""

from earmark.melody.notes import HOP, Score, contour_of_notes, skyline

__all__ = ["HOP", "Score", "contour_of_notes", "skyline"]
