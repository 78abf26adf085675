"""The tracks by name."""

from css_gen.tracks.base import Track

_tracks: dict[str, Track] = {}


def register(track: Track) -> Track:
    """Make a track available under its name.

    Raises:
        ValueError: the name is taken.
    """
    if track.name in _tracks:
        raise ValueError(f"a track is called {track.name} already")
    _tracks[track.name] = track
    return track


def names() -> tuple[str, ...]:
    """Return the names of all tracks in alphabetical order."""
    return tuple(sorted(_tracks))


def get(name: str) -> Track:
    """Return the track of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in _tracks:
        raise ValueError(f"no track is called {name!r}; expected one of {', '.join(names())}")
    return _tracks[name]
