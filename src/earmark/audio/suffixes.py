"""Suffixes of the files that a walk through folders takes for audio."""

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
