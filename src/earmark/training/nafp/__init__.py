"""Training of neural audio fingerprints as published, and of our own network, by one command.

`config` says what a run is, `layout` where its files lie, `data` reads them, `augment` and
`strong` make pairs, `features` what the network sees; `model`, `lamb` and `loop` learn,
`checkpoint` keeps, `generate` writes fingerprints of any recordings.  All but `config`, `layout`,
`data`, `picture`, `tracks` and `generate` need the extra ``train``.

Source: Chang et al., "Neural Audio Fingerprint for High-specific Audio Retrieval based on
Contrastive Learning" (2021).  What differs from the published program, and why, is in
``docs/fingerprint-training.md``.
"""
