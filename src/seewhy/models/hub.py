"""Weights from the Hugging Face Hub, or a server that speaks its protocol (HF_ENDPOINT)."""

import hashlib
import re
from pathlib import Path

from seewhy.errors import ModelFileError, UsageError

FILES = ("config.json", "model.safetensors")


def download(source: str) -> Path:
    """Returns a directory with the weights and the card of "hf-hub:OWNER/NAME[@REVISION]".

    They come from the Hub's cache where they are there. A file's sha256 must be the one that the server
    names. Raises `UsageError` for what does not exist or cannot be reached, `ModelFileError` for a file
    that is not complete.
    """
    repository, _, revision = source.removeprefix("hf-hub:").partition("@")
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository):
        raise UsageError(f"{source}: expected hf-hub:OWNER/NAME or hf-hub:OWNER/NAME@REVISION")
    try:
        from huggingface_hub import errors as hub
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise UsageError(f"{source} needs huggingface_hub: pip install 'seewhy[hub]'") from None
    paths = []
    for file in FILES:
        try:
            path = Path(hf_hub_download(repository, file, revision=revision or None))
        except hub.GatedRepoError:
            raise UsageError(
                f"{source} asks for consent: accept its terms on its page, then `hf auth login`"
            ) from None
        except hub.RevisionNotFoundError:
            raise UsageError(f"{source}: the repository has no revision {revision!r}") from None
        except hub.EntryNotFoundError as error:
            if isinstance(error, hub.LocalEntryNotFoundError):
                raise UsageError(
                    f"{source} is not in the cache and the Hub cannot be reached: go online, or name a file "
                    "with --model.weights FILE.safetensors"
                ) from None
            raise UsageError(
                f"{source} has no {file}: choose a repository with weights as safetensors"
            ) from None
        except hub.RepositoryNotFoundError:
            raise UsageError(f"the Hub has no {repository}, or it is private") from None
        except (hub.HFValidationError, hub.HfHubHTTPError, OSError) as error:
            first = " ".join(str(error).split())[:200]
            raise UsageError(f"{source} cannot be downloaded: {first}") from None
        _require_whole(path, source)
        paths.append(path)
    return paths[-1].parent


def _require_whole(path: Path, source: str) -> None:
    """Compares a large file with the sha256 by which the Hub's cache names it."""
    name = path.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", name):
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != name:
            raise ModelFileError(
                f"{path.name} of {source} is damaged or not complete: remove {path.resolve()} and try again"
            )
