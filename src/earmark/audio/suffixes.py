"""Suffixes of the files that a walk through folders takes for audio, and for scores."""

AUDIO_SUFFIXES = frozenset(
    f".{suffix}"
    for line in (
        "3ga 3gp aa aac ac3 aif aifc aiff alac amr ape asf au avi caf dff dsf dts eac3 f4a f4v",
        "flac flv gsm m2ts m4a m4b m4r m4v mka mkv mlp mov mp1 mp2 mp3 mp4 mpa mpc mpeg mpg mts",
        "oga ogg ogm ogv oma opus qcp ra rf64 rm rmvb snd spx tak ts tta vob voc vqf w64 wav",
        "wave webm wma wmv wv",
    )
    for suffix in line.split()
)
"""In lower case, with the dot; those of video are among them, for their sound."""

SCORE_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi", ".musicxml", ".mxl", ".abc"})
"""Files of notes, taken when an encoder is asked for that reads them."""

NOTE_LIST_SUFFIXES = frozenset({".csv", ".json"})
"""Tables, of notes among other things."""

VAGUE_SUFFIXES = NOTE_LIST_SUFFIXES | {".xml"}
"""In folders such files are taken for scores only if they look like it inside."""
