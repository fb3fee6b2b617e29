"""Profiles of the encoder `timbre`: which one a library gets, and how it goes over to another.

A library's rows are all of one profile.  The setting names that of new libraries; a wish that
contradicts what is stored is refused with the way out, never silently passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from earmark.errors import UsageError, nearest
from earmark.types import JSON, Store

ENCODER = "timbre"


def options(profile: str) -> dict[str, dict[str, JSON]]:
    """Options by encoder for rows that are new to a library.

    Raises
    ------
    UsageError
        If there is no such profile.
    """
    _check_known(profile)
    return {ENCODER: {"profile": profile}}


def check(store: Store, profile: str | None, *, encoders: Sequence[str] | None) -> None:
    """Check a wish for a profile against what a library has.

    Parameters
    ----------
    store : Store
    profile : str, optional
        None wishes nothing.
    encoders : sequence of str, optional
        That will be used; None for those of the library, else `timbre`.

    Raises
    ------
    UsageError
        If there is no such profile, it would not be used, or the library has another.
    """
    if profile is None:
        return
    _check_known(profile)
    used = encoders or tuple(store.encoders()) or (ENCODER,)
    if ENCODER not in used:
        raise UsageError(
            f"a profile is of the encoder {ENCODER!r}, got {profile!r} for {', '.join(used)}",
            hint=f"add --encoders {ENCODER}",
        )
    stored = store.encoders().get(ENCODER)
    if stored is not None and stored.options.get("profile") != profile:
        raise UsageError(
            f"all rows of a library must have one profile: its rows are of "
            f"{stored.options.get('profile')!r}, got --profile {profile}",
            hint=f"earmark rebuild --encoder {ENCODER} --profile {profile} goes over to it",
        )


def for_rebuild(
    store: Store,
    profile: str | None,
    *,
    encoder: str | None,
    fit: str | None,
    labels: str | None,
) -> dict[str, JSON] | None:
    """Options for encoding a library anew; None for those that it has.

    Fitting `timbre` by labels goes over to the profile `own`, which alone learns from them.

    Raises
    ------
    UsageError
        If the wishes do not fit together.
    """
    target = fit or encoder
    if labels is not None and fit != ENCODER:
        raise UsageError(
            f"'labels' is for fitting {ENCODER!r}, got fit={fit!r}",
            hint=f"earmark rebuild --fit {ENCODER} --labels FIELD",
        )
    if profile is not None and target != ENCODER:
        raise UsageError(
            f"a profile is of the encoder {ENCODER!r}, got {profile!r} for {target!r}",
            hint=f"earmark rebuild --encoder {ENCODER} --profile {profile}",
        )
    if labels is not None and profile not in (None, "own"):
        raise UsageError(
            f"only the profile 'own' learns from labels, got {profile!r}",
            hint=f"earmark rebuild --fit {ENCODER} --labels {labels}",
        )
    if profile is not None:
        _check_known(profile)
        return {"profile": profile}
    stored = store.encoders().get(ENCODER)
    if fit == ENCODER and stored is not None:
        # `default` has nothing to learn: to fit it means the profile that starts from it.
        now = stored.options.get("profile")
        return {"profile": "own"} if labels is not None or now == "default" else None
    return None


def _check_known(profile: str) -> None:
    from earmark.encoders.timbre import PROFILES

    if profile not in PROFILES:
        raise UsageError(
            f"encoder {ENCODER!r} has no profile {profile!r}",
            hint=nearest(profile, PROFILES) or f"known: {', '.join(PROFILES)}",
        )
