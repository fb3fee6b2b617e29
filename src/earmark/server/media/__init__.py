"""Sound that is decoded for a client: in worker processes that may crash, hang and be killed.

`tasks` says what a worker can be asked; `pool` asks; `pcm`, `waves` and `pictures` do the work.
"""
