"""The nouns and the protocols that every other module speaks.

Words (see `docs/architecture.md`): a *clip* is decoded audio in memory, a *track* a catalogued
file, a *segment* an interval of a track in seconds.  An *encoder* turns windows of audio into
*rows* (float vectors, or bits packed into bytes); a *store* keeps the rows under integer *keys*,
consecutive in time within a track; a search gives *neighbors* (rows), a *matcher* makes *hits*
(tracks) of them.  *Distance* is small when near, *score* is large when good.

A capability that only some encoders have (a session over contiguous audio, a codebook fitted on
the library, text, prepared queries) is a protocol of its own, asked for with `isinstance`.
"""

from __future__ import annotations

from earmark.types.arrays import JSON as JSON
from earmark.types.arrays import AnyArray as AnyArray
from earmark.types.arrays import Float32Array as Float32Array
from earmark.types.arrays import Float64Array as Float64Array
from earmark.types.arrays import Int64Array as Int64Array
from earmark.types.arrays import Metric as Metric
from earmark.types.arrays import RowType as RowType
from earmark.types.arrays import Scalar as Scalar
from earmark.types.arrays import UInt8Array as UInt8Array
from earmark.types.encoding import AspectEncoder as AspectEncoder
from earmark.types.encoding import Encoded as Encoded
from earmark.types.encoding import EncodedScore as EncodedScore
from earmark.types.encoding import Encoder as Encoder
from earmark.types.encoding import EncoderSpec as EncoderSpec
from earmark.types.encoding import EncodeSession as EncodeSession
from earmark.types.encoding import FittedEncoder as FittedEncoder
from earmark.types.encoding import GradualEncoder as GradualEncoder
from earmark.types.encoding import GradualQuery as GradualQuery
from earmark.types.encoding import LabelledEncoder as LabelledEncoder
from earmark.types.encoding import QueryEncoder as QueryEncoder
from earmark.types.encoding import RowSpec as RowSpec
from earmark.types.encoding import ScoreEncoder as ScoreEncoder
from earmark.types.encoding import State as State
from earmark.types.encoding import StreamEncoder as StreamEncoder
from earmark.types.encoding import Tagger as Tagger
from earmark.types.encoding import TextEncoder as TextEncoder
from earmark.types.filters import And as And
from earmark.types.filters import Compare as Compare
from earmark.types.filters import Exists as Exists
from earmark.types.filters import Expr as Expr
from earmark.types.filters import In as In
from earmark.types.filters import Not as Not
from earmark.types.filters import OneLabel as OneLabel
from earmark.types.filters import Or as Or
from earmark.types.progress import Failure as Failure
from earmark.types.progress import OnProgress as OnProgress
from earmark.types.progress import Progress as Progress
from earmark.types.sound import AudioInfo as AudioInfo
from earmark.types.sound import Clip as Clip
from earmark.types.storing import Damage as Damage
from earmark.types.storing import RoughStore as RoughStore
from earmark.types.storing import SpaceStats as SpaceStats
from earmark.types.storing import Store as Store
from earmark.types.storing import StoreStats as StoreStats
from earmark.types.storing import Writer as Writer
from earmark.types.tracks import Hit as Hit
from earmark.types.tracks import Known as Known
from earmark.types.tracks import Label as Label
from earmark.types.tracks import Neighbors as Neighbors
from earmark.types.tracks import Segments as Segments
from earmark.types.tracks import TextMatch as TextMatch
from earmark.types.tracks import Track as Track
from earmark.types.tracks import TrackRecord as TrackRecord
