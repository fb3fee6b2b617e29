"""Which recording a sound is, and where in it: evidence in rows, lines through them, confidence.

`rows` reads a track's rows by time, `query_codes` makes a query's, `sequence` finds lines that
many of them agree on, `matching` weighs what speaks for a line, `monitoring` goes through hours of
sound, and `exact_range` compares the sound itself.
"""
