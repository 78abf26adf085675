"""Messages to and from a submission's process: one JSON object per line, validated and nothing else."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from benchmark.records.schema import ComposerCard

_LONGEST = 2_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def harmless(text: object) -> str:
    """Return the text as one line, without characters that move a terminal's cursor or cannot be encoded."""
    return _CONTROL.sub(" ", str(text)[:_LONGEST]).encode(errors="replace").decode().strip()


Text = Annotated[str, BeforeValidator(harmless)]
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
"""A number that a process reports: small enough that sums of it do not overflow."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Candidate(_Part):
    """Where a composer's class is defined.

    Attributes:
        shown: as the person named it, for messages.
        file: absolute path of a Python file.
        class_name: "" if the file has one composer, or `name` says which.
        name: the composer's, if its class is not known.
    """

    shown: str
    file: str
    class_name: str = ""
    name: str = ""


class Job(_Part):
    """A task for a process, done in its scratch folder.

    Attributes:
        task: "check" the contract, "train" on `training/`, or "compose" the questions in `asked/`.
        readable: folders it may read besides its scratch folder and the installed packages.
        threads: of torch.
    """

    task: Literal["check", "train", "compose"]
    candidate: Candidate
    scratch: str
    readable: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int = Field(default=1, ge=1)
    memory_mib: int = Field(ge=1)
    open_files: int = Field(ge=1)


class Confined(_Part):
    """The limits on the process, in words: sent once, before the submission's code is loaded."""

    event: Literal["confined"] = "confined"
    guards: tuple[Text, ...]


class Loaded(_Part):
    event: Literal["loaded"] = "loaded"
    card: ComposerCard


class Finding(_Part):
    """A point of the contract that was examined; `problem` is empty if the composer keeps it."""

    event: Literal["finding"] = "finding"
    what: Text
    problem: Text = ""
    remark: Text = ""


class Step(_Part):
    event: Literal["step"] = "step"
    step: Annotated[int, Field(ge=0)]
    loss: Number
    learning_rate: Number
    queries_per_second: Number
    seconds_left: Number


class Answered(_Part):
    """Sent when a file of queries was answered."""

    event: Literal["answered"] = "answered"


class TrainingDone(_Part):
    """Sent when training is complete; `own_parameters` counts the composer's learnable numbers."""

    event: Literal["trained"] = "trained"
    losses: Annotated[tuple[Number, ...], Field(max_length=10_000_000)]
    seconds: float = Field(gt=0, le=1e9)
    seconds_before: float = Field(ge=0, le=1e9)
    peak_memory_mib: float = Field(ge=0, le=1e9)
    own_parameters: int = Field(ge=0)


class Failure(_Part):
    """Why the job was not done; `is_limit` if memory ran out."""

    event: Literal["failure"] = "failure"
    message: Text
    is_limit: bool = False


class Done(_Part):
    event: Literal["done"] = "done"


Message = Confined | Loaded | Finding | Step | Answered | TrainingDone | Failure | Done
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="event")])


def parse(line: bytes) -> Message:
    """Parse a line. Raises ValueError if it is not a message."""
    return _ADAPTER.validate_json(line)
