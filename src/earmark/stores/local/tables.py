"""The tables of the catalog in its present format.

A column ``check`` is `codec.row_check` of the row's other values (of a track: with its tags).
``spans``: the rows of one track and encoder, keys ``[first_key, first_key + rows)``, their packed
times and the CRC32 of their bytes; ``shards``: committed rows and rolling CRC32 of a file;
``dead``: ranges of keys without a row; ``moved``: where the last compaction moved ranges of keys;
``indexes``: what a FAISS file covers.  Since format 3: ``labels``, the names that taggers gave;
``marks``, the labels of a track by one encoder, with its moments packed; ``derived``: arrays that
were computed from the library and can be again.
"""

from __future__ import annotations

TABLES_2 = """
create table meta (name text primary key, value) without rowid;
create table tracks (
    id integer primary key autoincrement,
    path not null unique,
    content_hash text not null,
    size integer not null,
    mtime_ns integer not null,
    duration real not null,
    sample_rate integer not null,
    channels integer not null,
    codec text not null,
    container text not null,
    bit_rate integer not null,
    title text not null,
    artist text not null,
    "check" integer not null
);
create index tracks_hash on tracks (content_hash);
create table tags (
    track integer not null,
    name text not null,
    value not null,
    own integer not null,
    primary key (track, name)
) without rowid;
create index tags_value on tags (name, value, track);
create table failures (
    path primary key,
    size integer not null,
    mtime_ns integer not null,
    error text not null,
    "check" integer not null
) without rowid;
create table encoders (
    id integer primary key autoincrement,
    name text not null unique,
    spec text not null,
    next_key integer not null,
    index_kind text not null,
    "check" integer not null
);
create table states (
    encoder integer not null,
    name text not null,
    dtype text not null,
    shape text not null,
    data blob not null,
    "check" integer not null,
    primary key (encoder, name)
);
create table shards (
    id integer primary key autoincrement,
    encoder integer not null,
    form text not null,
    first_key integer not null,
    rows integer not null,
    crc integer not null,
    file text not null unique,
    "check" integer not null,
    unique (encoder, form, first_key)
);
create table spans (
    track integer not null,
    encoder integer not null,
    first_key integer not null,
    rows integer not null,
    times blob not null,
    crc integer not null,
    refine_crc integer not null,
    "check" integer not null,
    primary key (track, encoder)
);
create index spans_key on spans (encoder, first_key, rows, track);
create table dead (
    encoder integer not null,
    first_key integer not null,
    rows integer not null,
    primary key (encoder, first_key)
) without rowid;
create table moved (
    encoder integer not null,
    first_key integer not null,
    rows integer not null,
    to_key integer not null,
    primary key (encoder, first_key)
) without rowid;
create table indexes (
    id integer primary key autoincrement,
    encoder integer not null,
    kind text not null,
    file text not null unique,
    first_key integer not null,
    rows integer not null,
    crc integer not null,
    size integer not null,
    params text not null,
    "check" integer not null
);
create virtual table words using fts5(
    title, artist, album, genre, path, tags,
    tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
);
create virtual table vocabulary using fts5vocab(words, 'row');
"""
"""Format 2, as it was released: never changed again."""

TABLES_3 = """
create table labels (
    id integer primary key autoincrement,
    name text not null unique
);
create virtual table label_words using fts5(
    name, tokenize = "porter unicode61 remove_diacritics 2"
);
create table marks (
    track integer not null,
    encoder integer not null,
    label integer not null,
    score real not null,
    moments blob not null,
    "check" integer not null,
    primary key (track, encoder, label)
) without rowid;
create index marks_label on marks (label, score, track);
create table derived (
    name text not null,
    "array" text not null,
    dtype text not null,
    shape text not null,
    data blob not null,
    "check" integer not null,
    primary key (name, "array")
);
"""
"""What format 3 adds."""

TABLES = TABLES_2 + TABLES_3
