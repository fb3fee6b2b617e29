"""The library over HTTP: ``earmark serve``.

No logic of its own: `app` puts the parts together, `routes` translates between HTTP and the facade,
`guard` and `intake` keep strangers out and uploads small, `media` decodes what strangers send and
draws waveforms in worker processes that may be killed, `subsonic` speaks to music players, and
`running` starts it all.

Rules: no path and no address that a client sends is ever opened (clients name tracks by number and
send sound as bytes); every error is an RFC 9457 problem; an upload is never written to disk.

Sources: RFC 9457 (problems), RFC 9110 (ranges, entity tags), the OpenSubsonic specification.
"""
