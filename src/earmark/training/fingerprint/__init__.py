"""Training of the fingerprint encoder on any folder of music.  Needs the extra ``train``."""
