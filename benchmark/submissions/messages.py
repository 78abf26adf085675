"""What is said to and by a submission's process: one JSON object a line, validated. Nothing is pickled.

The process answers every command with one message, "examine" with a finding for each point of the contract and "done".
"""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

_LONGEST = 2_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def harmless(text: object) -> str:
    """Return the text as one line, without characters that move a terminal's cursor or cannot be encoded."""
    return _CONTROL.sub(" ", str(text)[:_LONGEST]).encode(errors="replace").decode().strip()


Text = Annotated[str, BeforeValidator(harmless)]
Size = Annotated[int, Field(ge=0, lt=2**40)]
Sizes = Annotated[tuple[Size, ...], Field(max_length=8)]
Path = Annotated[str, Field(max_length=300, pattern=r"^[^.\x00-\x1f\x7f]+(\.[^.\x00-\x1f\x7f]+){0,19}$")]
"""Of a parameter or a buffer in a composer: up to 20 names with dots between them."""

_MANY = 2_000
"""More parameters, buffers or layers than any composer has."""


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
    """What a process is started with.

    Attributes:
        scratch: the folder that it may write into.
        readable: files and folders that it may read besides that one and the candidate's file.
        hidden: folders inside of those that it may neither read nor import from.
        areas: descriptors of the memory that we and the process write tensors into, see `exchange`.
        threads: of torch.
    """

    candidate: Candidate
    scratch: str
    readable: tuple[str, ...]
    hidden: tuple[str, ...]
    areas: tuple[int, int]
    device: str = "cpu"
    threads: int = Field(default=1, ge=1)
    memory_mib: int = Field(ge=1)
    open_files: int = Field(ge=1)


class Piece(_Part):
    """A tensor in shared memory. A stride of 0 repeats what is there once."""

    offset: Size
    dtype: Literal["float32", "bfloat16", "float16", "float64", "int64", "int32", "uint8", "bool"]
    shape: Sizes
    strides: Sizes


class Weight(_Part):
    """A parameter or buffer of a composer; `same_as` names the first one of the same memory, if that is another."""

    name: Path
    piece: Piece
    is_trained: bool = False
    same_as: str = ""


class Examine(_Part):
    """Check the contract."""

    command: Literal["examine"] = "examine"


class Make(_Part):
    """Make the composer, in eval mode, and tell what it is made of.

    `earlier`: how many depths before the image encoder's last one it composes. The process holds one for each.
    """

    command: Literal["make"] = "make"
    earlier: int = 0
    image_channels: int
    text_width: int
    spatial: bool
    seed: int
    bf16: bool


class Forward(_Part):
    """Compose a batch.

    Attributes:
        earlier: which of the composers does, as in `Make`.
        image, text: features; the text's are pooled, tokens, mask.
        weights, buffers: values to take first, in the order in which `Made` names them; empty if those of the last
            command still hold.
        random: states of torch's generators, of the CPU and the device, to draw from; empty outside training, and
            where the last composer's continue.
        needs: which of image, pooled, tokens and target need a gradient.
        target: features of the target images; the composer's own loss is asked for if they are given.
    """

    command: Literal["forward"] = "forward"
    earlier: int = 0
    image: Piece
    text: tuple[Piece, Piece, Piece]
    weights: tuple[Piece, ...] = ()
    buffers: tuple[Piece, ...] = ()
    random: tuple[Piece, ...] = ()
    needs: tuple[bool, bool, bool, bool] = (False, False, False, False)
    target: Piece | None = None
    is_training: bool = False


class Backward(_Part):
    """Give the gradients for that of the composed features of the last batch, and of its own loss if it has one."""

    command: Literal["backward"] = "backward"
    earlier: int = 0
    gradient: Piece
    auxiliary: Piece | None = None


Command = Examine | Make | Forward | Backward
_COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="command")])


class Confined(_Part):
    """The process has limited itself: sent once, before the submission's code is loaded."""

    event: Literal["confined"] = "confined"


class Loaded(_Part):
    """The composer's `info`, and which optional parts of the contract it uses: sent once, when the code is loaded."""

    event: Literal["loaded"] = "loaded"
    name: Text
    title: Text
    paper: Text
    year: int
    url: Text
    auxiliary: bool = False
    levels: int = 1


class Finding(_Part):
    """A point of the contract that was examined; `problem` is empty if the composer keeps it."""

    event: Literal["finding"] = "finding"
    what: Text
    problem: Text = ""
    remark: Text = ""


class Made(_Part):
    """What a composer is made of.

    Attributes:
        weights: its parameters, under all of their names, as `named_parameters` orders them.
        buffers: those of its state_dict, in the same way.
        layers: kinds of the layers that multiply by weights, of `LAYERS`, by path; "" is the composer itself.
    """

    event: Literal["made"] = "made"
    weights: Annotated[tuple[Weight, ...], Field(max_length=_MANY)]
    buffers: Annotated[tuple[Weight, ...], Field(max_length=_MANY)]
    layers: Annotated[dict[str, str], Field(max_length=_MANY)]


class Composed(_Part):
    """The composed features of a batch, and the composer's own loss on it if it was asked for and there is one."""

    event: Literal["composed"] = "composed"
    piece: Piece
    auxiliary: Piece | None = None


class Gradients(_Part):
    """Gradients of image, pooled, tokens, target and of each trained weight, None where there is none; the buffers."""

    event: Literal["gradients"] = "gradients"
    inputs: tuple[Piece | None, Piece | None, Piece | None, Piece | None]
    weights: Annotated[tuple[Piece | None, ...], Field(max_length=_MANY)]
    buffers: Annotated[tuple[Piece, ...], Field(max_length=_MANY)]


class Failure(_Part):
    """Why a command was not carried out; `is_limit` if memory ran out. The process has ended."""

    event: Literal["failure"] = "failure"
    message: Text
    is_limit: bool = False


class Done(_Part):
    event: Literal["done"] = "done"


Message = Confined | Loaded | Finding | Made | Composed | Gradients | Failure | Done
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="event")])


def parse(line: bytes) -> Message:
    """Parse a line of the process. Raises ValueError if it is not a message."""
    return _MESSAGE.validate_json(line)


def parse_command(line: bytes) -> Command:
    """Parse a line said to the process. Raises ValueError if it is not a command."""
    return _COMMAND.validate_json(line)
