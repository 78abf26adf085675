"""The hard tracks: a task for each track of `css_gen.tracks`, on a dataset of its own that css-gen renders."""

from functools import partial

from benchmark.datasets.rendered_css import Css
from benchmark.tasks.base import Opener, Slice, Task
from benchmark.tasks.css import CHECK, IMAGES, SLICES, render_missing
from benchmark.tasks.registry import register
from css_gen import tracks
from css_gen.storage.configuration import Configuration
from css_gen.tracks import Track


def task_of(track: Track) -> Task:
    """Return the task of a track: from a 3D image to a 3D image, on the feature map."""
    name, title = f"css-{track.name}", f"CSS, {track.title[:1].lower()}{track.title[1:]}"
    slices = {name: Slice(name, values, seen=_seen(track, name)) for name, values in track.slices.items()}
    slices.setdefault("kind", Slice("kind of program", on_tables=False))
    return Task(
        name=name,
        title=f"{title}: 3D query, 3D gallery",
        about=title,
        summary=f"{track.about[:1].upper()}{track.about[1:].rstrip('.')}.",
        folder=name,
        features="map",
        has_exact_answers=True,
        parse=track.parse,
        images="rendered",
        source_view="3d",
        track=track.name,
        contrasts=tuple(dict.fromkeys(track.contrasts.values())),
        shortcut=track.shortcut.name,
        queries_per_target=track.programs,
        open=_opener(name, track.name),
        make=partial(render_missing, configuration=Configuration(images=IMAGES, track=track.name)),
        check_command=CHECK,
        slices=slices | {attribute: SLICES[attribute] for attribute in ("answers", "combination", "objects")},
    )


def _seen(track: Track, attribute: str) -> str:
    """Return the value of an attribute that training shows; "" where there are several, or none is held out."""
    held_out = track.held_out_slices.get(attribute, ())
    shown = [value for value in track.slices[attribute] if value not in held_out]
    return shown[0] if held_out and len(shown) == 1 else ""


def _opener(name: str, track: str) -> Opener:
    def opened(root, /, *, image_size, reporter, skip_broken):  # type: ignore[no-untyped-def]  # noqa: ARG001
        return Css(name, root, source_view="3d", image_size=image_size, reporter=reporter, track=track)

    return opened


for _track in tracks.names():
    register(task_of(tracks.get(_track)))
