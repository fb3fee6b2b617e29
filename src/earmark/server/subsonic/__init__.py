"""OpenSubsonic: the library for the music players that people already have, under ``/rest``.

`calls` takes requests apart and finds who asks, `replies` writes answers as JSON or XML, `shelves`
makes artists and albums of tags and folders, `browsing`, `finding` and `playing` answer, and
`dispatch` has the table of methods.

Nothing can be changed here: stars, ratings and playlists of a player's own are not kept.

Source: the OpenSubsonic specification, version 1 of the API (Subsonic 1.16.1), with the extensions
``apiKeyAuthentication``, ``formPost`` and ``sonicSimilarity``.
"""
