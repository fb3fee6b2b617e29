"""Everyday sounds in words: what a label is measured against where there is no library.

Many and unlike each other, so that whatever is heard resembles a few of them and not the rest.
"""

from __future__ import annotations

BACKGROUND: tuple[str, ...] = (
    "a person speaking", "people talking in a crowd", "a child laughing", "someone singing",
    "footsteps on gravel", "hands clapping", "a door closing", "a clock ticking",
    "typing on a keyboard", "a telephone ringing", "water running from a tap", "rain falling",
    "wind in trees", "waves on a beach", "thunder", "a fire crackling", "birds singing",
    "a dog barking", "a cat meowing", "a cow mooing", "insects buzzing", "frogs croaking",
    "a car driving past", "a train on rails", "an aeroplane overhead", "a motorcycle engine",
    "a siren", "a car horn", "a chainsaw", "a hammer hitting a nail", "a drill", "a vacuum cleaner",
    "a hair dryer", "glass breaking", "coins falling", "paper tearing", "a church bell",
    "an acoustic guitar", "an electric guitar", "a piano", "a violin", "a flute", "a trumpet",
    "a drum beat", "electronic music", "an orchestra", "white noise", "a humming machine",
)  # fmt: skip
