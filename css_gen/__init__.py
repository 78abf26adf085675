"""The CSS (Color-Shape-Size) dataset for composed image retrieval, rendered procedurally.

`css-gen render` makes a dataset; `css_gen.open_dataset` reads it.
"""

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from css_gen.dataset import Dataset

__all__ = ["open_dataset"]


def open_dataset(path: str | PathLike[str]) -> "Dataset":
    """Open the dataset in a folder. Only its manifest is read; images and queries are read when they are used.

    >>> import css_gen
    >>> test = css_gen.open_dataset("data/css").split("test")
    >>> query = test.queries[0]
    >>> query.text
    'add large green object'
    >>> source, target = test.image_3d(query.source_id), test.image_3d(query.target_id)
    >>> source.shape, source.dtype
    ((224, 224, 3), dtype('uint8'))
    >>> len(test.scene(query.target_id)) - len(test.scene(query.source_id))
    1

    Args:
        path: a folder that `css-gen render` made.

    Raises:
        DatasetError: the folder is missing, holds no finished dataset or one of a newer format, or its manifest was
            edited. Reading from the dataset raises the same error for a missing or damaged file.
    """
    # Here, so that `import css_gen` needs neither numpy nor pyarrow.
    from css_gen import dataset

    return dataset.open(path)
