"""CSS: scenes of simple objects; find the scene that the text makes of another. Three tasks on one rendered dataset."""

from pathlib import Path

from benchmark.datasets.rendered_css import Css
from benchmark.errors import BenchmarkError
from benchmark.tasks.base import Opener, Slice, Task, published_rows
from benchmark.tasks.registry import register
from css_gen import render as writing
from css_gen.errors import DatasetError
from css_gen.pool import available_cores
from css_gen.progress import Reporter
from css_gen.scenes.modification import parse
from css_gen.scenes.sampling import KINDS_ASKED
from css_gen.storage.configuration import CSS, Configuration

IMAGES = 20_000
"""How many images to render where there is no dataset: as in README."""

SLICES = {
    "selection": Slice("what the text selects by", ("cell", "content", "cell and content", "everything")),
    "changed": Slice("number of objects that the text changes", ("0", "1", "2", "3+")),
    "kind": Slice("kind of modification", KINDS_ASKED),
    "answers": Slice("number of relevant scenes in the gallery", ("1", "2+"), on_tables=False),
    "combination": Slice("shape-colour combination, seen in training or novel", ("seen", "novel"), on_tables=False),
    "objects": Slice("number of objects in the source scene", on_tables=False),
}
CHECK = "css-gen verify {path}"


def render_css(root: Path, reporter: Reporter) -> None:
    """Render what `css-gen render --n 20000` renders, or what is missing of it.

    Raises:
        BenchmarkError: the folder holds something else, or cannot be written.
    """
    render_missing(root, reporter, configuration=Configuration(images=IMAGES))


def render_missing(root: Path, reporter: Reporter, *, configuration: Configuration) -> None:
    """Render a dataset, or what is missing of it.

    Raises:
        BenchmarkError: the folder holds something else, or cannot be written.
    """
    what = "CSS dataset" if configuration.track == CSS else f"dataset of the track {configuration.track}"
    reporter.message(f"{root} holds no {what} yet: rendering {configuration.images} images (once)")
    try:
        writing.render(root, configuration, jobs=available_cores(), reporter=reporter)
    except (DatasetError, ValueError) as error:
        raise BenchmarkError(str(error)) from None
    except OSError as error:
        raise BenchmarkError(f"{root}: cannot be written ({error.strerror}); what is finished is kept") from None


def _opener(name: str, source_view: str, *, spatial: bool = True) -> Opener:
    def opened(root: Path, /, *, image_size: int, reporter: Reporter, skip_broken: bool) -> Css:  # noqa: ARG001
        return Css(name, root, source_view=source_view, image_size=image_size, reporter=reporter, spatial=spatial)

    return opened


PUBLISHED_3D = published_rows(
    (1,),
    ("image_only", "", "M", 6.3),
    ("text_only", "", "M", 0.1),
    ("concat", "", "T", 60.6),
    ("show_and_tell", "", "M", 33.0),
    ("parameter_hashing", "", "M", 60.5),
    ("relationship", "", "M", 62.1),
    ("mrn", "", "M", 60.1),
    ("film", "", "M", 65.6),
    ("tirg", "ResNet-18", "V", 73.7),
)
"""From a 3D image to a 3D image, on the original images."""

LATER_3D = published_rows(
    (1,),
    ("TIRG, google/tirg's re-implementation", "ResNet-18", "V", 76.0),
    ("HCL", "ResNet-18", "V", 81.59),
    ("GA(TIRG)", "ResNet-18", "V", 91.2),
    ("TIRG+JPM(MSE)", "ResNet-18", "V", 83.8),
    ("TIRG+JPM(Tri)", "ResNet-18", "V", 83.2),
    ("LGLI", "ResNet-18", "V", 93.3),
    ("MAAF", "ResNet-50", "V", 87.8),
    ("CRR", "ResNet-101", "V", 85.84),
    ("JGAN", "ResNet-101", "V", 76.07),
    ("GSCMR", "ResNet-101", "V", 81.81),
    ("TIS", "Inception-v3", "V", 76.64),
    ("LBF(big)", "Faster-RCNN", "V", 79.2),
    ("LBF(small)", "Faster-RCNN", "V", 67.26),
)

register(
    Task(
        name="css",
        title="CSS: 3D query, 3D gallery",
        about="CSS, from a 3D image to a 3D image",
        folder="css",
        features="map",
        has_exact_answers=True,
        parse=parse,
        images="rendered",
        source_view="3d",
        open=_opener("css", "3d"),
        make=render_css,
        check_command=CHECK,
        slices=SLICES,
        published=PUBLISHED_3D,
        later=LATER_3D,
    )
)

register(
    Task(
        name="css-pooled",
        title="CSS with pooled features: 3D query, 3D gallery",
        about="CSS, from a 3D image to a 3D image, on pooled image features",
        folder="css",
        features="pooled",
        has_exact_answers=True,
        parse=parse,
        images="rendered",
        source_view="3d",
        open=_opener("css-pooled", "3d", spatial=False),
        make=render_css,
        check_command=CHECK,
        slices=SLICES,
        # The paper's ablation: TIRG at the last linear layer.
        published=published_rows((1,), ("tirg", "ResNet-18", "T", 71.2)),
    )
)

register(
    Task(
        name="css-2d3d",
        title="CSS: 2D query, 3D gallery",
        about="CSS, from a flat drawing to a 3D image",
        folder="css",
        features="map",
        has_exact_answers=True,
        parse=parse,
        images="rendered",
        source_view="2d",
        open=_opener("css-2d3d", "2d"),
        make=render_css,
        check_command=CHECK,
        slices=SLICES,
        published=published_rows(
            (1,),
            ("image_only", "", "M", 6.3),
            ("text_only", "", "M", 0.1),
            ("concat", "", "T", 27.3),
            ("show_and_tell", "", "M", 6.0),
            ("parameter_hashing", "", "M", 31.4),
            ("relationship", "", "M", 30.6),
            ("mrn", "", "M", 26.8),
            ("film", "", "M", 43.7),
            ("tirg", "ResNet-18", "V", 46.6),
        ),
        later=published_rows(
            (1,),
            ("HCL", "ResNet-18", "V", 58.65),
            ("JGAN", "ResNet-101", "V", 48.85),
            ("GSCMR", "ResNet-101", "V", 58.74),
            ("TIS", "Inception-v3", "V", 48.02),
            ("LBF(big)", "Faster-RCNN", "V", 55.69),
            ("LBF(small)", "Faster-RCNN", "V", 50.31),
        ),
    )
)
