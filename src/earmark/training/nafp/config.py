"""What a training run is: one typed value, read from TOML or JSON and saved with each checkpoint.

`Folders` and `Run` say where files lie and what the run may use; all other parts decide what is
learned.  Two runs are the same if and only if these are equal (`differences`): a checkpoint is
never resumed, and never makes fingerprints, under another configuration.

Levels in dB, times in seconds, frequencies in Hz.  Defaults are those of Chang et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from earmark.errors import UsageError, nearest
from earmark.fingerprinting import FrontEnd, SegmentFront
from earmark.training.fingerprint.config import AugmentConfig, ModelConfig


def _choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(
            f"{name} must be one of {', '.join(known)}, got {value!r}", hint=nearest(value, known)
        )


def _at_least(low: float, **values: float) -> None:
    for name, value in values.items():
        if not value >= low:
            raise UsageError(f"{name.replace('__', '.')} must be at least {low:g}, got {value!r}")


def _share(**values: float) -> None:
    for name, value in values.items():
        if not 0.0 <= value <= 1.0:
            raise UsageError(f"{name.replace('__', '.')} must be from 0 to 1, got {value!r}")


def _range(name: str, value: tuple[float, float]) -> None:
    if len(value) != 2 or not value[0] <= value[1]:
        raise UsageError(f"{name} must be two numbers, the smaller first, got {list(value)!r}")


@dataclass(frozen=True)
class Folders:
    """Where files are read from and written to.

    Parameters
    ----------
    data : str
        A folder in the layout of the published data set (``aug/{bg,ir,speech}``, ``music/...``).
        The other folders, where given, take the place of its parts.
    music : str
        Any folder of music to train on.
    validation, test, dummy : str
        Music for the search test of each epoch; for `generate`, the tracks to be found (with
        subfolders ``db`` and ``query``, or without); and many others among them.
    background, impulse, speech : str
        Background scenes, impulse responses, voices.
    output : str
        Runs are written below it, each under its name.
    cache : str
        Where decoded music is kept; default ``cache`` below `output`.
    """

    data: str = ""
    music: str = ""
    validation: str = ""
    test: str = ""
    dummy: str = ""
    background: str = ""
    impulse: str = ""
    speech: str = ""
    output: str = "fingerprints"
    cache: str = ""


@dataclass(frozen=True)
class Selection:
    """Which music is trained on.

    Parameters
    ----------
    share : float
        This share of the files, drawn by the seed.
    limit : int
        At most as many files; 0 for all.
    exclude : tuple of str
        Patterns (as of a shell, against the path below the folder) of files to leave out.
    validation_share : float
        Share of the files held out for the search test where there is no folder for it.
    one_per_track : bool
        No two pairs of a batch are from one file (an epoch then has fewer segments if files
        differ in length).
    quietest : float
        Segments with a smaller root mean square are left out of a batch.
    """

    share: float = 1.0
    limit: int = 0
    exclude: tuple[str, ...] = ()
    validation_share: float = 0.05
    one_per_track: bool = False
    quietest: float = 0.0

    def __post_init__(self) -> None:
        _share(selection__share=self.share, selection__validation_share=self.validation_share)
        _at_least(0, selection__limit=self.limit, selection__quietest=self.quietest)


@dataclass(frozen=True)
class Features:
    """What the network sees of a segment.

    Parameters
    ----------
    window, hop : float
        Length of a segment and step between segments.
    stft_hop : int
        Samples between frames.
    scale : str
        ``log``: log10(mel + offset) minus the segment's maximum, as published; ``decibel``:
        against the segment's maximum, clipped at `floor_db`, into [-1, 1].
    padding : str
        ``zeros`` outside of the segment, as published; ``sound`` for what lies there.
    """

    sample_rate: int = 8000
    window: float = 1.0
    hop: float = 0.5
    n_fft: int = 1024
    stft_hop: int = 256
    bands: int = 256
    fmin: float = 300.0
    fmax: float = 4000.0
    scale: str = "log"
    offset: float = 0.06
    floor_db: float = 80.0
    padding: str = "zeros"

    def __post_init__(self) -> None:
        _choice("features.scale", self.scale, ("log", "decibel"))
        _choice("features.padding", self.padding, ("zeros", "sound"))
        _at_least(1, features__n_fft=self.n_fft, features__stft_hop=self.stft_hop)
        _at_least(1, features__bands=self.bands, features__floor_db=self.floor_db)
        _at_least(1e-9, features__offset=self.offset, features__hop=self.hop)
        if self.samples < self.n_fft:
            raise UsageError("features.window must be at least features.n_fft samples long")

    @property
    def samples(self) -> int:
        """Samples of a segment."""
        return round(self.window * self.sample_rate)

    @property
    def step(self) -> int:
        """Samples between segments."""
        return round(self.hop * self.sample_rate)

    @property
    def frames(self) -> int:
        """Frames of a segment, the first centred on its first sample."""
        return self.samples // self.stft_hop + (self.samples % self.stft_hop > 0)

    @property
    def front(self) -> FrontEnd:
        """The same as a `FrontEnd`, for the parts shared with our own network."""
        return FrontEnd(
            sample_rate=self.sample_rate,
            n_fft=self.n_fft,
            hop=self.stft_hop,
            frames=self.frames,
            bands=self.bands,
            fmin=self.fmin,
            fmax=self.fmax,
            floor_db=self.floor_db,
        )

    @property
    def segment(self) -> SegmentFront:
        """The same as an encoder takes it."""
        return SegmentFront(
            self.front, self.samples, self.step, self.scale, self.offset, self.padding
        )


@dataclass(frozen=True)
class PublishedModel:
    """Blocks of a convolution in time and one in frequency; a "divide and encode" head.

    `channels` and `time_strides` have one number a block; `ndim` numbers of a vector come from
    as many slices of the last block's channels, each with `hidden` units.
    """

    channels: tuple[int, ...] = (128, 128, 256, 256, 512, 512, 1024, 1024)
    time_strides: tuple[int, ...] = (2, 2, 2, 2, 1, 2, 1, 2)
    ndim: int = 128
    hidden: int = 32

    def __post_init__(self) -> None:
        if not self.channels or len(self.channels) != len(self.time_strides):
            raise UsageError(
                "model.published.channels and .time_strides must have one number a block, "
                f"got {len(self.channels)} and {len(self.time_strides)}"
            )
        _at_least(1, model__published__ndim=self.ndim, model__published__hidden=self.hidden)
        _at_least(1, model__published__channels=min(self.channels))
        _at_least(1, model__published__time_strides=min(self.time_strides))


@dataclass(frozen=True)
class Model:
    """Which network: ``published``, or ``compact`` (our own); each with its own numbers."""

    kind: str = "published"
    published: PublishedModel = field(default_factory=PublishedModel)
    compact: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        _choice("model.kind", self.kind, ("published", "compact"))

    @property
    def ndim(self) -> int:
        """Numbers of a vector."""
        return self.published.ndim if self.kind == "published" else self.compact.ndim

    @property
    def prefixes(self) -> tuple[int, ...]:
        """Shorter lengths at which a vector is trained to work as well."""
        return self.compact.prefixes if self.kind == "compact" else ()


@dataclass(frozen=True)
class PublishedChain:
    """How a positive is made, in this order: background, gain, room, features, holes.

    Parameters
    ----------
    anchor_offset, positive_offset : float
        The anchor begins within +- this of the grid, the positive of the anchor.
    background_p, room_p, speech_p, holes_p : float
        Probabilities per sample.
    snr_db, speech_snr_db : tuple of two floats
        Music over background, uniform.
    gain : tuple of two floats
        Peak of the mixture, log-uniform.
    room_seconds : float
        Impulse responses are cut to it, and as much sound before the segment is heard in them.
    hole_frames, hole_bands, band_bands : tuple of two ints
        Sizes of the rectangle and of the horizontal band that are set to the quietest value.
    """

    anchor_offset: float = 0.2
    positive_offset: float = 0.2
    background_p: float = 1.0
    snr_db: tuple[float, float] = (0.0, 10.0)
    speech_p: float = 0.0
    speech_snr_db: tuple[float, float] = (0.0, 10.0)
    gain: tuple[float, float] = (0.1, 1.0)
    room_p: float = 1.0
    room_seconds: float = 1.0
    holes_p: float = 1.0
    hole_frames: tuple[int, int] = (3, 11)
    hole_bands: tuple[int, int] = (25, 101)
    band_bands: tuple[int, int] = (5, 19)

    def __post_init__(self) -> None:
        _share(augment__published__background_p=self.background_p)
        _share(augment__published__speech_p=self.speech_p)
        _share(augment__published__room_p=self.room_p)
        _share(augment__published__holes_p=self.holes_p)
        _at_least(0, augment__published__anchor_offset=self.anchor_offset)
        _at_least(0, augment__published__positive_offset=self.positive_offset)
        _at_least(0.01, augment__published__room_seconds=self.room_seconds)
        for name in ("snr_db", "speech_snr_db", "gain", "hole_frames", "hole_bands", "band_bands"):
            _range(f"augment.published.{name}", getattr(self, name))
        _at_least(1e-6, augment__published__gain=self.gain[0])


@dataclass(frozen=True)
class Augment:
    """Which chain makes positives: ``published``, or ``strong`` (our own)."""

    chain: str = "published"
    published: PublishedChain = field(default_factory=PublishedChain)
    strong: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        _choice("augment.chain", self.chain, ("published", "strong"))


@dataclass(frozen=True)
class Optimizer:
    """How the network learns.

    Parameters
    ----------
    kind : str
        ``adam``, ``lamb``, or ``auto``: LAMB from a batch of 240 on.
    batch : int
        Anchors and positives together.
    epochs : int
        An epoch takes every segment once.
    steps_per_epoch : int
        Fewer steps than that; 0 for all.
    rate, final_share : float
        Learning rate, and the share of it to which a cosine takes it at the end.
    weight_decay : float
        Of LAMB.
    """

    kind: str = "auto"
    batch: int = 120
    epochs: int = 100
    steps_per_epoch: int = 0
    rate: float = 1e-4
    final_share: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-6
    weight_decay: float = 1e-6
    temperature: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        _choice("optimizer.kind", self.kind, ("auto", "adam", "lamb"))
        _at_least(4, optimizer__batch=self.batch)
        _at_least(1, optimizer__epochs=self.epochs)
        _at_least(0, optimizer__steps_per_epoch=self.steps_per_epoch, optimizer__seed=self.seed)
        _at_least(1e-12, optimizer__rate=self.rate, optimizer__temperature=self.temperature)
        _range("optimizer.betas", self.betas)
        _share(optimizer__final_share=self.final_share)
        if self.batch % 2:
            raise UsageError(f"optimizer.batch must be even (pairs), got {self.batch}")

    @property
    def resolved_kind(self) -> str:
        """``adam`` or ``lamb``."""
        return ("lamb" if self.batch >= 240 else "adam") if self.kind == "auto" else self.kind


@dataclass(frozen=True)
class Run:
    """What the run may use; none of it decides what is learned, up to rounding.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda``, ``mps``, or one of several as ``cuda:1``.
    precision : str
        ``auto`` (bfloat16 where CUDA has it), ``float32`` or ``bfloat16``.  A device that gets
        bfloat16 wrong is found out before the first step, and refused.
    threads : int
        Threads that read music ahead.
    checkpoint_steps : int
        Also within an epoch, every so many steps; 0 for epochs only.
    keep : int
        Epochs whose checkpoints are kept, the newest; 0 for all.
    test_tracks : int
        Tracks of the search test of each epoch; 0 for none.
    picture : bool
        Draw the similarity matrix of each search test.
    tensorboard : str
        ``auto`` (where it is installed), ``on`` or ``off``.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int = 2
    checkpoint_steps: int = 0
    keep: int = 0
    test_tracks: int = 50
    picture: bool = True
    tensorboard: str = "auto"

    def __post_init__(self) -> None:
        _choice("run.device", self.device.split(":")[0], ("auto", "cpu", "cuda", "mps"))
        _choice("run.precision", self.precision, ("auto", "float32", "bfloat16"))
        _choice("run.tensorboard", self.tensorboard, ("auto", "on", "off"))
        _at_least(1, run__threads=self.threads)
        _at_least(0, run__checkpoint_steps=self.checkpoint_steps, run__keep=self.keep)
        _at_least(0, run__test_tracks=self.test_tracks)


@dataclass(frozen=True)
class Config:
    """All of a run."""

    folders: Folders = field(default_factory=Folders)
    selection: Selection = field(default_factory=Selection)
    features: Features = field(default_factory=Features)
    model: Model = field(default_factory=Model)
    augment: Augment = field(default_factory=Augment)
    optimizer: Optimizer = field(default_factory=Optimizer)
    run: Run = field(default_factory=Run)


def preset(name: str) -> Config:
    """Return the defaults under a name: ``published``, or ``compact`` (our own, as shipped).

    Raises
    ------
    UsageError
        For another name.
    """
    _choice("a preset", name, ("published", "compact"))
    if name == "published":
        return Config()
    front = FrontEnd()
    return Config(
        selection=Selection(one_per_track=True, quietest=2e-3),
        features=Features(
            stft_hop=front.hop, fmin=front.fmin, fmax=front.fmax, scale="decibel", padding="sound"
        ),
        model=Model(kind="compact"),
        augment=Augment(chain="strong"),
        optimizer=Optimizer(kind="adam", batch=256, epochs=20, rate=1e-3, final_share=1e-2),
    )
