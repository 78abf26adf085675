"""Send files to a repository of the Hugging Face Hub, and fetch some, with huggingface_hub.

A push is one commit: a repository holds all of a dataset or a model, or what it held before. The Hub stores large files
before the commit, so after an interruption the same command sends only those that the Hub does not have yet.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from css_gen.errors import CssBenchError, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["dataset", "model"]
Files = Mapping[str, Path | bytes]
"""What to send: a file or a content, by its path in the repository."""


class HubError(CssBenchError):
    """Raised when the Hub cannot be reached, refuses a request, or huggingface_hub is not installed."""


class Pushed(NamedTuple):
    """What a push did.

    Attributes:
        url: the page of the repository.
        commit: the id of its newest commit.
        is_new: whether this push made that commit; False if the repository already held these files.
    """

    url: str
    commit: str
    is_new: bool


def require_repo(repo: str) -> None:
    """Raise UsageError unless `repo` names a repository and its owner; raise HubError without huggingface_hub."""
    try:
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # not in its __all__
    except ImportError:
        raise HubError("huggingface_hub is not installed; install it with: pip install 'css-bench[hub]'") from None
    expected = f"{repo!r} is not the name of a repository; expected USER/NAME, such as me/css"
    if repo.count("/") != 1:
        raise UsageError(expected)
    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise UsageError(f"{expected}, of letters, digits and single . _ -") from None


def push(
    repo: str, kind: Kind, files: Files, *, message: str, private: bool = False,
    is_stale: Callable[[str], bool] = lambda path: False,  # noqa: ARG005
) -> Pushed:  # fmt: skip
    """Make a repository if need be, and commit files to it.

    Args:
        repo: USER/NAME.
        message: the first line of the commit.
        private: whether a new repository is private. A repository that exists stays as it is.
        is_stale: which other files of the repository to remove in the same commit, by their paths.

    Raises:
        UsageError: `repo` is not USER/NAME.
        HubError: there is no token, or no network, or the Hub refused something; nothing was committed then. Or it
            left files out, because the repository has a .gitignore that names them.
    """
    require_repo(repo)
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token

    if get_token() is None:
        raise HubError(
            "there is no token for the Hugging Face Hub: log in with `hf auth login`, or set HF_TOKEN to a token that "
            "may write (huggingface.co/settings/tokens)"
        )
    api = HfApi(library_name="css-bench")
    with _explained(repo, kind, api), warnings.catch_warnings():
        # The outcomes of a record are meant to be in the repository of its model.
        warnings.filterwarnings("ignore", message="It seems that you are about to commit a data file")
        url = api.create_repo(repo, repo_type=kind, private=private or None, exist_ok=True)
        before, held = _head(api, repo, kind)
        stale = sorted(path for path in held if path not in files and is_stale(path))
        additions = [CommitOperationAdd(path, content) for path, content in files.items()]
        removals = [CommitOperationDelete(path) for path in stale]
        commit = api.create_commit(
            repo, [*removals, *additions], commit_message=message, repo_type=kind, parent_commit=before, num_threads=2
        )
        if missing := sorted(files.keys() - _head(api, repo, kind)[1]):
            raise HubError(
                f"{repo}: the Hub left out {missing[0]}{f' and {len(missing) - 1} more' if missing[1:] else ''}; "
                "remove the .gitignore of the repository, and push again"
            )
    return Pushed(str(url), str(commit.oid), commit.oid != before)


def fetch(repo: str, kind: Kind, patterns: Sequence[str]) -> Path:
    """Download the newest version of some files into huggingface_hub's cache, and return the folder that holds them.

    A download that was interrupted resumes. Files of an earlier version that are cached never take the place of the
    newest ones: without a network this raises.

    Raises:
        UsageError: `repo` is not USER/NAME.
        HubError: there is no such repository, or no network.
    """
    require_repo(repo)
    from huggingface_hub import HfApi

    api = HfApi(library_name="css-bench")
    with _explained(repo, kind, api):
        newest, _ = _head(api, repo, kind)
        return Path(api.snapshot_download(repo, repo_type=kind, revision=newest, allow_patterns=list(patterns)))


def planned(repo: str, kind: Kind, files: Files) -> list[str]:
    """Say in lines what a push would send: the repository, and every file with its size in bytes."""
    sizes = {path: len(it) if isinstance(it, bytes) else it.stat().st_size for path, it in files.items()}
    width = max(len(f"{size:,}") for size in sizes.values())
    total = sum(sizes.values())
    return [
        f"would send {len(sizes)} files, {total:,} bytes, to the {kind} {repo} in one commit:",
        *(f"  {size:>{width},}  {path}" for path, size in sizes.items()),
    ]


def _head(api: "HfApi", repo: str, kind: Kind) -> tuple[str | None, set[str]]:
    """The newest commit of a repository, and the paths of its files."""
    info = api.repo_info(repo, repo_type=kind)
    return info.sha, {file.rfilename for file in getattr(info, "siblings", None) or ()}


@contextmanager
def _explained(repo: str, kind: Kind, api: "HfApi") -> Iterator[None]:
    """Turn every error of huggingface_hub and of its HTTP client into a HubError of one line."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.RepositoryNotFoundError:
        raise HubError(
            f"{repo}: {api.endpoint} has no such {kind}, or the token may not see it; check its name and "
            "`hf auth whoami`"
        ) from None
    except errors.HfHubHTTPError as error:
        raise HubError(_refusal(repo, error)) from None
    except (httpx2.TransportError, errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise HubError(
            f"{api.endpoint} cannot be reached ({why[:120]}); check the network, HF_ENDPOINT and HF_HUB_OFFLINE, and "
            "run the same command again to resume"
        ) from None
    except (RuntimeError, ValueError) as error:
        # Raised for a file that could not be stored, and for a card that the Hub does not accept.
        cause = error.__cause__
        if isinstance(cause, errors.HfHubHTTPError):
            raise HubError(_refusal(repo, cause)) from None
        why = " ".join(f"{error}{f' ({cause})' if cause else ''}".split())[:300]
        raise HubError(f"{repo}: {why}; nothing was committed, run the same command again to resume") from None


def _refusal(repo: str, error: "OSError") -> str:
    """One line on why the Hub refused a request; `error` is an HfHubHTTPError."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    said = " ".join(str(getattr(error, "server_message", None) or "").split())[:200]
    why = {
        401: "the token is not valid; log in again with `hf auth login`",
        403: "the token may not write there; use one with write permission for this repository",
        412: "somebody else has committed to it meanwhile; run the same command again",
        413: "a file is too large for the Hub",
        429: "too many requests; wait some minutes and run the same command again",
    }.get(status or 0, "run the same command again to resume")
    return f"{repo}: the Hub answered {status}{f' ({said})' if said else ''}: {why}"
