"""What a model file says of itself, as a record and as a model card. Loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from seewhy.config.networks import NETWORKS, STORED_COST
from seewhy.evaluation.headline import Headline, headline
from seewhy.files import named_path, require_new, write_atomic
from seewhy.inference.container import Header, read_header
from seewhy.inference.locate import find_model
from seewhy.inference.metadata import Metadata, OnnxMetadata
from seewhy.inference.onnx_file import is_onnx
from seewhy.inference.onnx_file import read as read_onnx
from seewhy.run import DAMAGED, Run
from seewhy.workflows.card import Section, fact, markdown, sections_of

EXPORTED = {"bundle", "precision"}  # what an ONNX file says beside the metadata of its bundle
# Tensors of floats that are no parameters of the registry's networks, by the last part of their names.
BUFFERS = {"running_mean", "running_var", "mean", "std", "kernels"}
METRICS: TypeAdapter[dict[str, Headline]] = TypeAdapter(dict[str, Headline])


@dataclass(frozen=True)
class ModelInfo:
    """A model file by its header, whose digest was checked; the network was not run.

    `parameters` counts its weights; `flops` are those of one view of an image, None where the file does not
    have them. `metrics` are the main ones of each split, `test_readings` how often test was evaluated: of a
    run directory those of its metrics.json, of a file those that were stored in it. `exported` is how an ONNX
    file was made; its `header` is that of the bundle, with its own digest and size, and no tensors.
    """

    file: Path
    header: Header
    parameters: int
    flops: int | None
    metrics: Mapping[str, Headline]
    test_readings: int = 0
    exported: OnnxMetadata | None = None

    @property
    def license(self) -> str | None:
        """The licence of the model as its recipe names it; None if it names none."""
        return fact(self.header.metadata.facts, str, "recipe", "license")

    @property
    def sections(self) -> list[Section]:
        """The model card: titles, each with rows of a name and a text."""
        return sections_of(self)

    def json_form(self) -> dict[str, Any]:
        """The metadata, with the file, its digest, its cost, its metrics and its licence."""
        return {
            "file": self.file,
            "digest": self.header.digest,
            **self.header.metadata.model_dump(mode="json"),
            "bytes": self.header.size,
            "parameters": self.parameters,
            "flops": self.flops,
            "metrics": {
                split: record.model_dump(mode="json") for split, record in self.metrics.items()
            },
            "test_readings": self.test_readings,
            "license": self.license,
            **({} if self.exported is None else self.exported.model_dump(include=EXPORTED)),
        }


def info(model: str | Path, *, out: str | Path | None = None) -> ModelInfo:
    """What a model file, exported ONNX file, run directory or shipped model contains, as a model card.

    `out` is a new Markdown file for the card, whose front matter is that of the Hugging Face Hub. Raises
    `ModelFileError` for a file that is damaged or not SeeWhy's, and `UsageError` if `out` exists.
    """
    if out is not None:
        out = named_path(out)
        require_new(out)
    file, run = find_model(model), Run(named_path(model))
    exported = None
    if is_onnx(file):
        onnx = read_onnx(file)
        header = Header(onnx.about.model, (), onnx.digest, len(onnx.data))
        exported, parameters = onnx.about, onnx.about.parameters
    else:
        header = read_header(file)
        parameters = parameters_of(header)
    own = run.model == file
    result = ModelInfo(
        file=file,
        header=header,
        parameters=parameters,
        flops=_flops(header.metadata),
        metrics=(_of_run(run) if own else {}) or _stored(header.metadata),
        test_readings=run.test_readings if own else 0,
        exported=exported,
    )
    if out is not None:
        write_atomic(out, markdown(result).encode())
    return result


def _of_run(run: Run) -> dict[str, Headline]:
    try:
        return {split: headline(stored) for split, stored in run.metrics.items()}
    except (LookupError, TypeError, AttributeError, ValueError):
        raise run.lacks("metrics.json", DAMAGED) from None


def _stored(about: Metadata) -> dict[str, Headline]:
    """The metrics among the facts of a file; none where a stranger's file has other ones there."""
    try:
        return METRICS.validate_python(about.facts.get("metrics", {}))
    except ValidationError:
        return {}


def parameters_of(header: Header) -> int:
    """The weights of a network, by the names and shapes of its tensors."""
    floats = (tensor for tensor in header.tensors if tensor.dtype in ("F32", "F16"))
    return sum(
        prod(tensor.shape)
        for tensor in floats
        if tensor.name.startswith("network.") and tensor.name.rpartition(".")[2] not in BUFFERS
    )


def _flops(about: Metadata) -> int | None:
    """Those that the file names, or those of a network with its default options at the usual size."""
    name, arguments = about.architecture.name, about.architecture.arguments
    stored = fact(about.facts, int, "flops")
    usual = (about.rule.size, len(about.classes)) == STORED_COST
    if stored is not None or name not in NETWORKS or not usual:
        return stored
    defaults = {option: field.default for option, field in NETWORKS[name].model_fields.items()}
    return NETWORKS[name].flops if arguments.items() <= defaults.items() else None
