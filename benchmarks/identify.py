"""Fingerprints of degraded excerpts against a folder of music: the table of the documentation.

    python benchmarks/identify.py MUSIC... [--queries 100] [--seconds 5,10] [--speech FOLDER]

Tracks shorter than 20 s are left out.  A fifth of the tracks is not indexed: excerpts of it are
the negatives, degraded like the queries (with --strangers, speech, noise and tones take turns with
them); held-out tracks that share sound with indexed ones (other
versions of one piece) are named and are no negatives.  An excerpt is drawn at random from a random
track, a longer track no more often than a short one, and drawn again if it is silent.  Printed for
each condition: how often the right track comes first; how often at the right place too (within
half a second); the share found at a threshold that lets at most 2 % of the negatives through, and
at the threshold that `earmark identify` uses, with the share of negatives that pass that one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import strangers
from chromaprint import Chromaprint
from degradations import CONDITIONS, LEAD, RATE, Babble
from earmark import audio, framing
from earmark.encoders.spectral import Spectral
from earmark.errors import AudioError
from earmark.identify.matching import CERTAIN, identify
from earmark.identify.query_codes import QueryCodes
from earmark.identify.rows import MemoryRows
from earmark.spectral_code import load_directions
from earmark.types import Clip, Encoded, Encoder

SHORTEST = 20.0
THRESHOLD = 0.7
SHARED = 4.5
"""Evidence of codes (6 at most for 5 s) above which two undegraded excerpts are the same sound."""


@dataclass(frozen=True)
class Query:
    """An excerpt: of which indexed track (-1: of none), from where, as its encoder sees it."""

    track: int
    start: float
    clip: Clip
    wide: np.ndarray
    """The same at `RATE`, for the peer."""


def find_tracks(folders: list[Path], hours: float, exclude: set[str]) -> list[Path]:
    """Audio files of at least `SHORTEST` seconds in a seeded order, up to `hours` of them."""
    paths = sorted(
        {p for f in folders for p in f.rglob("*") if p.suffix.lower() in audio.AUDIO_SUFFIXES}
    )
    paths.sort(key=lambda p: hashlib.sha256(p.name.encode()).digest())
    chosen: list[Path] = []
    seen: set[bytes] = set()
    total = 0.0
    for path in paths:
        if path.name in exclude or path.is_symlink() or path.stat().st_size < 40_000:
            continue
        digest = hashlib.sha256(path.read_bytes()).digest()
        try:
            seconds = audio.probe(str(path)).duration
        except AudioError:
            continue
        if seconds < SHORTEST or digest in seen:
            continue
        seen.add(digest)
        chosen.append(path)
        total += seconds
        if total > hours * 3600:
            break
    print(f"{len(chosen)} tracks, {total / 3600:.2f} h", file=sys.stderr)
    return chosen


def encode(encoder: Encoder, path: Path, cache: Path | None) -> Encoded:
    """Rows of a file, kept in the cache folder under the encoder's revision."""
    kept = None
    if cache is not None:
        key = f"{path.resolve()}|{encoder.spec.to_json()}"
        kept = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
        if kept.exists():
            with np.load(kept) as data:
                return Encoded(data["rows"], data["segments"])
    clip = audio.read(str(path), sample_rate=encoder.spec.sample_rate, salvage=True)
    encoded = framing.encode_clip(encoder, clip)
    rows = encoded.rows
    if encoder.spec.rows.dtype == "int8":  # as a store would keep them
        rows = (np.rint(rows * 127.0) / 127.0).astype(np.float16)
    if kept is not None:
        np.savez(kept, rows=rows, segments=encoded.segments)
    return Encoded(rows, encoded.segments)


def build(encoder: Encoder, paths: list[Path], cache: Path | None) -> MemoryRows:
    """All rows of the indexed tracks, as a store would give them back."""
    began = time.process_time()
    tracks = []
    for path in paths:
        encoded = encode(encoder, path, cache)
        tracks.append((encoded.segments.mean(axis=1), encoded.rows))
    rows = MemoryRows(tracks)
    spent = time.process_time() - began
    print(f"{encoder.spec.name}: {rows.total} rows in {spent:.0f} s of one core", file=sys.stderr)
    return rows


def excerpt(path: Path, seconds: float, rng: np.random.Generator) -> tuple[float, Clip]:
    """A random excerpt with its lead, at `RATE`; drawn again while it is silent."""
    info = audio.probe(str(path))
    for _ in range(10):
        start = float(rng.uniform(1.0, max(1.01, info.duration - seconds - 1.0)))
        clip = audio.read(
            str(path),
            sample_rate=RATE,
            start=start - 1.0,
            end=start + seconds * 1.06 + 0.2,
            salvage=True,
        )
        if len(clip.samples) > LEAD + RATE and np.std(clip.samples[LEAD:]) > 3e-3:
            break
    return start, clip


def make_query(
    path: Path, track: int, condition: str, seconds: float, babble: Babble, seed: list[int]
) -> Query:
    """An excerpt of a file, degraded, at the encoders' rate."""
    rng = np.random.default_rng(seed)
    start, clip = excerpt(path, seconds, rng)
    degraded = CONDITIONS[condition](clip.samples, babble, rng)
    lead = LEAD * len(degraded) // len(clip.samples) if condition.startswith("speed") else LEAD
    body = np.ascontiguousarray(degraded[lead : lead + int(seconds * RATE)], np.float32)
    peak = float(np.abs(body).max())
    body = body / max(1.0, peak)
    return Query(track, start, audio.read_array(body, RATE, target_rate=8000), body)


def ask(
    query: Query,
    encoder: Encoder | None,
    vectors: MemoryRows | None,
    codes: MemoryRows | None,
    *,
    certain: float = CERTAIN,
) -> list:
    """The matches of one query."""
    spectral = QueryCodes(query.clip, load_directions()) if codes is not None else None
    if encoder is None:
        encoded = Encoded(np.zeros((0, 1), np.float32), np.zeros((0, 2)))
    else:
        encoded = framing.encode_query(encoder, query.clip)
    return identify(encoded, spectral, vectors, codes, certain=certain)


def without_shared(
    held_out: list[Path], indexed: list[Path], codes: MemoryRows | None
) -> list[Path]:
    """Leave out tracks of which an undegraded excerpt has nearly all bits of an indexed one."""
    if codes is None:
        return held_out
    kept = []
    for path in held_out:
        clip = audio.read(str(path), sample_rate=8000, salvage=True)
        for start in range(0, len(clip.samples) - 40_000, 80_000):
            part = Clip(clip.samples[start : start + 40_000], 8000)
            if np.std(part.samples) < 3e-3:
                continue
            found = ask(Query(-1, 0.0, part, part.samples), None, None, codes)
            if found and found[0].evidence.codes > SHARED:
                print(
                    f"{path.name} shares sound with {indexed[found[0].track].name}, "
                    f"evidence {found[0].evidence.codes:.1f}",
                    file=sys.stderr,
                )
                break
        else:
            kept.append(path)
    return kept


def run_condition(args, name, seconds, indexed, others, babble, encoder, vectors, codes, peer):
    """Figures of one condition, and the evidence of each answer for the calibration."""
    right = placed = 0
    positives, negatives, evidence = [], [], []
    peers: list[tuple[int, int, float]] = []
    for i in range(args.queries + args.negatives):
        negative = i >= args.queries
        rng = np.random.default_rng([args.seed, i, int(seconds)])
        kind = 1 + i % len(others) if negative else 0
        pool = others[kind - 1] if negative else indexed
        track = int(rng.integers(len(pool)))
        seed = [args.seed, i, int(seconds * 10), list(CONDITIONS).index(name)]
        query = make_query(pool[track], track, name, seconds, babble, seed)
        if peer is not None:
            answer, _, agree = peer.ask(query.wide, RATE)
            peers.append((-1 if negative else track, answer, agree))
        certain = 2.0 if args.evidence else CERTAIN
        matches = ask(query, encoder, vectors, codes, certain=certain)
        for rank, m in enumerate(matches[:8]):
            correct = not negative and m.track == track
            e = m.evidence
            evidence.append(
                [i, rank, correct, kind, seconds, m.speed, m.confidence, *vars(e).values()]
            )
        best = matches[0] if matches else None
        if negative:
            negatives.append(best.confidence if best else 0.0)
            continue
        hit = best is not None and best.track == track
        right += hit
        if hit:
            # The place in the track of the query's first sample.
            began = best.start - best.speed * best.query_start
            placed += abs(began - query.start) < 0.5
        positives.append(best.confidence if hit else -1.0)
        if args.verbose and not hit:
            print(
                f"  missed {pool[track].name} {query.start:.1f} -> {best.track if best else None}",
                file=sys.stderr,
            )
    limit = float(np.quantile(negatives, 0.98)) if negatives else 0.0
    found = np.array(positives)
    return _of_peer(peers) | {
        "top1": right / args.queries,
        "placed": placed / args.queries,
        "recall_at_2_percent": float(np.mean(found > limit)),
        "threshold_at_2_percent": limit,
        "recall": float(np.mean(found >= THRESHOLD)),
        "false_accepts": float(np.mean(np.array(negatives) >= THRESHOLD)) if negatives else 0.0,
    }, evidence


def _of_peer(answers: list[tuple[int, int, float]]) -> dict[str, float]:
    """What the peer got right: first, and with a threshold that lets 2 % of strangers in."""
    if not answers:
        return {}
    asked = np.array([a[0] for a in answers])
    right = np.array([a[0] == a[1] for a in answers])
    agree = np.array([a[2] for a in answers])
    strangers = asked < 0
    limit = float(np.quantile(agree[strangers], 0.98)) if strangers.any() else 0.0
    return {
        "peer_top1": float(right[~strangers].mean()),
        "peer_recall_at_2_percent": float((right & (agree > limit))[~strangers].mean()),
    }


def main() -> None:
    """Run all conditions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("music", nargs="+", type=Path)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--negatives", type=int, default=100)
    parser.add_argument("--seconds", default="5,10")
    parser.add_argument("--conditions", default=",".join(CONDITIONS))
    parser.add_argument("--hours", type=float, default=1e9)
    parser.add_argument("--speech", type=Path, help="folder of voices for the babble")
    parser.add_argument("--cache", type=Path, help="folder to keep rows in between runs")
    parser.add_argument("--weights", type=Path, help="an ONNX file instead of the shipped one")
    parser.add_argument("--encoders", default="fingerprint,spectral")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--evidence", type=Path, help="write what calibration is fitted on (npz)")
    parser.add_argument(
        "--background", nargs="*", type=Path, default=[], help="folders to index, never asked for"
    )
    parser.add_argument(
        "--strangers", type=Path, help="a folder: negatives are speech, noise and tones as well"
    )
    parser.add_argument(
        "--peer", action="store_true", help="ask fpcalc with an exhaustive match the same"
    )
    parser.add_argument("--exclude", nargs="*", default=[], help="file names to leave out")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    if args.cache is not None:
        args.cache.mkdir(parents=True, exist_ok=True)
    paths = find_tracks(args.music, args.hours, set(args.exclude))
    indexed, held_out = [p for i, p in enumerate(paths) if i % 5], paths[::5]
    behind = find_tracks(args.background, 1e9, set()) if args.background else []
    babble = Babble(args.speech, np.random.default_rng(args.seed))
    encoder = vectors = codes = None
    if "fingerprint" in args.encoders:
        from earmark.encoders.fingerprint import Fingerprint, Network

        encoder = Fingerprint(Network(args.weights.read_bytes()) if args.weights else None)
        vectors = build(encoder, indexed + behind, args.cache)
    if "spectral" in args.encoders:
        codes = build(Spectral(), indexed + behind, args.cache)
    peer = Chromaprint.build(indexed + behind, args.cache) if args.peer else None
    held_out = without_shared(held_out, indexed + behind, codes)
    others = [held_out]
    if args.strangers is not None:
        others.append(strangers.make(args.strangers))
        if args.speech:
            others.append(strangers.talk(args.speech, args.strangers))
    results, gathered = {}, {}
    columns = "top-1 / placed / recall at 2 % / recall, false accepts at 0.7"
    heads = [f"{seconds} s: {columns}" for seconds in args.seconds.split(",")]
    print(f"| condition | {' | '.join(heads)} | ms |")
    for name in args.conditions.split(","):
        cells = []
        began = time.process_time()
        for seconds in map(float, args.seconds.split(",")):
            result, evidence = run_condition(
                args, name, seconds, indexed, others, babble, encoder, vectors, codes, peer
            )
            results[f"{name}, {seconds:g} s"] = result
            gathered[f"{name}, {seconds:g} s"] = np.array(evidence)
            cells.append(
                f"{result['top1']:.0%} / {result['placed']:.0%} / "
                f"{result['recall_at_2_percent']:.0%} / {result['recall']:.0%}, "
                f"{result['false_accepts']:.0%}"
            )
            if peer is not None:
                cells[-1] += (
                    f" (fpcalc {result['peer_top1']:.0%} / "
                    f"{result['peer_recall_at_2_percent']:.0%})"
                )
        asked = (args.queries + args.negatives) * len(cells)
        spent = (time.process_time() - began) / max(1, asked)
        print(f"| {name} | {' | '.join(cells)} | {spent * 1000:.0f} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))
    if args.evidence:
        np.savez(args.evidence, rows=np.array([r.total for r in (vectors, codes) if r]), **gathered)


if __name__ == "__main__":
    main()
