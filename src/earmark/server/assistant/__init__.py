"""The library for assistants: a server of the Model Context Protocol.

`questions` answers (and says what a client may name), `serving` makes tools and resources of it
and speaks the protocol, over standard input and output or over HTTP.

Source: https://modelcontextprotocol.io/specification
"""
