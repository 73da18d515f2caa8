"""The model card: what a model is for, what it reached, how it was made and where its limits are.

The file may be a stranger's: its facts are read one by one, and its text is escaped.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from seewhy.config.networks import NETWORKS
from seewhy.inference.locate import SHIPPED
from seewhy.inference.metadata import ENSEMBLE
from seewhy.text import counted, epochs_done, escape_markdown, shortened, visible

if TYPE_CHECKING:
    from seewhy.evaluation.headline import Bounds, Headline
    from seewhy.inference.metadata import Metadata
    from seewhy.workflows.info import ModelInfo

Value = TypeVar("Value")
Row = tuple[str, str]

CLASSES_SHOWN, COUNTS_SHOWN, WEAKEST_SHOWN = 20, 10, 3
HUB_METRICS = {  # the Hub's type and our title of each
    "accuracy": ("accuracy", "Accuracy"),
    "macro_f1": ("f1", "Macro F1"),
    "nll": ("log_loss", "Log loss"),
    "ece": ("expected_calibration_error", "Calibration error"),
}


@dataclass(frozen=True)
class Section:
    """A title, and rows of a name and a text."""

    title: str
    rows: tuple[Row, ...]


def fact(facts: Mapping[str, Any], kind: type[Value], *path: str) -> Value | None:
    """A value deep in the facts of a file; None where there is none of this kind."""
    value: Any = facts
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    # `type`, as True is an int too. A number of hundreds of digits cannot be shown.
    too_large = type(value) is int and abs(value) >= 2**63
    return value if type(value) is kind and not too_large else None


def sections_of(info: "ModelInfo") -> list[Section]:
    """The card of a model, section by section."""
    about = info.header.metadata
    sections = {
        "Model": _model(info),
        "Answers": _answers(about),
        **_metrics(info),
        "Training data": [*_shipped(info), *_data(about)],
        "Training": _training(about),
        "Limits of use": _limits(info),
        "File": _file(info),
    }
    return [Section(title, tuple(rows)) for title, rows in sections.items() if rows]


def markdown(info: "ModelInfo") -> str:
    """The card as Markdown, with the front matter of the Hugging Face Hub (YAML)."""
    lines = [f"# {escape_markdown(_name(info))}"]
    for section in info.sections:
        lines += ["", f"## {escape_markdown(section.title)}", ""]
        lines += [f"- **{name}**: {escape_markdown(text)}" for name, text in section.rows]
    front = yaml.safe_dump(_front_matter(info), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n".join(lines) + "\n"


def _name(info: "ModelInfo") -> str:
    return fact(info.header.metadata.facts, str, "recipe", "name") or info.file.stem


def _front_matter(info: "ModelInfo") -> dict[str, Any]:
    """The license is one of the Hub's identifiers, or `other` with the name that the recipe gives."""
    license: dict[str, str] = {"license": "unknown"}
    if info.license is not None:
        plain = re.fullmatch(r"[a-z][a-z0-9.-]*", info.license)
        license = {"license": info.license}
        if not plain:
            license = {"license": "other", "license_name": info.license}
    results = [
        {
            "task": {"type": "image-classification"},
            "dataset": {
                "type": "images",
                "name": f"{split} images",
                "split": split,
                "args": {"fingerprint": info.header.metadata.fingerprint},
            },
            "metrics": [
                {"type": kind, "name": title, "value": value}
                for name, (kind, title) in HUB_METRICS.items()
                if (value := getattr(measured, name).value) is not None
            ],
        }
        for split, measured in info.metrics.items()
    ]
    front: dict[str, Any] = {
        **license,
        "library_name": "seewhy",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "seewhy", info.header.metadata.architecture.name],
    }
    if results:
        front["metrics"] = [kind for kind, _ in HUB_METRICS.values()]
        front["model-index"] = [{"name": _name(info), "results": results}]
    return front


def _model(info: "ModelInfo") -> list[Row]:
    about = info.header.metadata
    purpose = fact(about.facts, str, "recipe", "about")
    views = len(about.views)
    flops = (
        "FLOPs not stored"
        if info.flops is None
        else f"{info.flops * views / 1e6:,.1f} MFLOPs an image"
        + (f" ({views} views)" if views > 1 else "")
    )
    rows = [
        ("for", f"labels an image as one of {counted(len(about.classes), 'class')}"),
        ("classes", shortened(about.classes, CLASSES_SHOWN)),
        ("input", _input(about)),
        *_network(about),
        ("size", f"{info.parameters:,} parameters, {flops}"),
        ("licence", info.license or "not stated (`license` in a recipe)"),
    ]
    return [*rows[:1], ("purpose", purpose), *rows[1:]] if purpose else rows


def _network(about: "Metadata") -> list[Row]:
    """The network with its options, or those of an ensemble."""
    architecture = about.architecture
    members = (
        fact(architecture.arguments, list, "members") if architecture.name == ENSEMBLE else None
    )
    if members is None:
        return [("network", _with_options(architecture.name, architecture.arguments))]
    rows = [("network", f"ensemble of {len(members)}, the mean of their calibrated probabilities")]
    for number, member in enumerate(members, 1):
        options = fact({"member": member}, dict, "member", "arguments") or {}
        name = fact({"member": member}, str, "member", "name") or "unknown"
        rows.append((f"network {number}", _with_options(name, options)))
    return rows


def _with_options(name: str, options: Mapping[str, Any]) -> str:
    told = ", ".join(f"{option} {value}" for option, value in options.items() if value is not None)
    return f"{name} ({told})" if told else name


def _input(about: "Metadata") -> str:
    rule = about.rule
    fits = {
        "crop": "its middle square",
        "pad": "padded to a square",
        "squash": "squashed to a square",
    }
    shown = f"the image, {fits[rule.fit]}, as {rule.size}x{rule.size} RGB"
    shown += f" (resized to {rule.store}, the centre of it)" if rule.store > rule.size else ""
    if rule.depth is not None:
        shown += f"; 16-bit values from {rule.depth[0]:g} to {rule.depth[1]:g}"
    return shown


def _answers(about: "Metadata") -> list[Row]:
    decision = about.decision
    calibrated = f"calibrated: logits are divided by the temperature {decision.temperature:.3f}"
    if decision.temperature == 1:
        calibrated = "not calibrated (temperature 1): `seewhy calibrate` fits it"
    unsure = "never: it always names a class"
    if decision.threshold is not None:
        unsure = f'below {decision.threshold:.1%} confidence it says "not sure"'
    strange = "not recognised: an image of something else is given a class like any other"
    if decision.scope is not None:
        strange = (
            f'"out of distribution" where the score {decision.scope.score} is below '
            f"{decision.scope.threshold:.4g}"
        )
    views = ", ".join(about.views)
    return [
        ("confidence", calibrated),
        ("not sure", unsure),
        ("other images", strange),
        ("TTA views", f"{views}, logits averaged" if len(about.views) > 1 else views),
    ]


def _metrics(info: "ModelInfo") -> dict[str, list[Row]]:
    """A section for each split that was measured."""
    sections = {}
    for split, measured in info.metrics.items():
        again = f", evaluated {counted(info.test_readings, 'time')}" if split == "test" else ""
        title = f"Metrics on {visible(split)}: {counted(measured.n, 'image')}{again}"
        sections[title] = _split_rows(measured)
    accuracy = fact(info.header.metadata.facts, float, "val_accuracy")
    if not sections and accuracy is not None:
        sections["Metrics on val"] = [("accuracy", f"{accuracy:.2%}, stored without an interval")]
    return sections


def _split_rows(measured: "Headline") -> list[Row]:
    weakest = (
        f"{visible(one.label)} {_interval(one.recall)} of {counted(one.support, 'image')}"
        for one in measured.weakest[:WEAKEST_SHOWN]
    )
    return [
        ("accuracy", _interval(measured.accuracy)),
        ("balanced accuracy", _interval(measured.balanced_accuracy)),
        ("macro F1", _interval(measured.macro_f1)),
        ("log loss", _interval(measured.nll, ".3f")),
        ("calibration error", _interval(measured.ece)),
        ("weakest by recall", "; ".join(weakest)),
    ]


def _interval(bounds: "Bounds", form: str = ".1%") -> str:
    """A value with its 95% interval, where it has one."""
    if bounds.value is None:
        return "undefined"
    if bounds.low is None or bounds.high is None:
        return f"{bounds.value:{form}}"
    return f"{bounds.value:{form}} ({bounds.low:{form}} to {bounds.high:{form}})"


def _shipped(info: "ModelInfo") -> list[Row]:
    """What the file of a shipped model does not say of itself."""
    if info.file.parent != SHIPPED:
        return []
    card = f"seewhy/weights/{info.file.stem}.md"
    return [
        (
            "data",
            f"CIFAR-10 in a JPEG copy (quality 75); {card} of the package has its test metrics",
        )
    ]


def _data(about: "Metadata") -> list[Row]:
    facts = about.facts
    rows = []
    sizes = fact(facts, dict, "data", "images") or {"train": fact(facts, int, "train_pictures")}
    known = [f"{size:,} {visible(split)}" for split, size in sizes.items() if type(size) is int]
    if known:
        rows.append(("images", ", ".join(known)))
    for split in ("train", "val"):
        counts = fact(facts, list, "data", "counts", split) or []
        if len(counts) == len(about.classes) and all(type(count) is int for count in counts):
            rows.append((f"{split} by class", _by_class(about.classes, counts)))
    for name in ("left out", "unusable"):
        count = fact(facts, int, "data", name.replace(" ", "_"))
        if count:
            rows.append((name, counted(count, "image" if name == "left out" else "file")))
    rows.append(("fingerprint", about.fingerprint or "unknown"))
    rows.append(("near-duplicates", "not searched in training; `seewhy data check` finds them"))
    return rows


def _by_class(classes: tuple[str, ...], counts: list[int]) -> str:
    pairs = sorted(zip(counts, classes, strict=True))
    if len(pairs) <= COUNTS_SHOWN:
        named = zip(classes, counts, strict=True)
        return ", ".join(f"{visible(label)} {count:,}" for label, count in named)
    (least, rarest), (most, commonest) = pairs[0], pairs[-1]
    return f"{least:,} ({visible(rarest)}) to {most:,} ({visible(commonest)})"


def _training(about: "Metadata") -> list[Row]:
    facts = about.facts
    weights = fact(facts, str, "recipe", "model", "weights")
    seconds = fact(facts, float, "seconds")
    epochs = fact(facts, int, "epochs")
    members = fact(facts, list, "members") or []
    machine = (fact(facts, dict, "machine") or {}).items()
    rows = {
        "recipe": fact(facts, str, "recipe", "name"),
        "pretrained": None if weights is None else weights + _weights_licence(about),
        "epochs": None if epochs is None else epochs_done(epochs),
        "seed": fact(facts, int, "recipe", "train", "seed"),
        "time": None if seconds is None else f"{seconds:,.1f} s",
        "pruned": fact(facts, str, "pruned"),
        "machine": ", ".join(f"{k} {v}" for k, v in machine if type(v) in (str, int)) or None,
        **{f"member {n}": _member(member) for n, member in enumerate(members, 1)},
    }
    return [(name, str(value)) for name, value in rows.items() if value is not None]


def _member(member: Any) -> str | None:
    """One model of an ensemble, or of an average of weights."""
    told = [(key, fact({"member": member}, str, "member", key)) for key in ("recipe", "digest")]
    accuracy = fact({"member": member}, float, "member", "val_accuracy")
    texts = [f"{key} {text}" for key, text in told if text]
    return (
        ", ".join(texts + ([] if accuracy is None else [f"accuracy {accuracy:.2%} on val"])) or None
    )


def _weights_licence(about: "Metadata") -> str:
    """The licence of pretrained weights that are known."""
    kind = NETWORKS.get(about.architecture.name)
    known = fact(about.facts, str, "recipe", "model", "weights") == "imagenet"
    if kind is None or kind.pretrained is None or not known:
        return ""
    return f" (licence {kind.pretrained.licence})"


def _limits(info: "ModelInfo") -> list[Row]:
    about = info.header.metadata
    rows = {
        "images": "metrics hold for images like those of its data; measure it on others (`seewhy evaluate`)",
        "other things": "it names one of its classes for any image at all",
        "test": "no metrics on test images; those on validation, by which it was chosen, are optimistic",
        "people": "do not let it decide anything about people",
    }
    if about.decision.scope is not None:
        rows["other things"] = "images of other things may still be given a class"
    if "test" in info.metrics:
        del rows["test"]
    return list(rows.items())


def _file(info: "ModelInfo") -> list[Row]:
    about, onnx = info.header.metadata, info.exported
    exported = (
        [] if onnx is None else [("exported from", f"bundle {onnx.bundle}, as {onnx.precision}")]
    )
    return [
        ("file", f"{visible(info.file.name)} ({info.header.size / 1e6:.1f} MB)"),
        ("format", str(about.format_version)),
        ("digest", info.header.digest),
        *exported,
        ("parents", ", ".join(about.parents) or "none"),
        ("made by", f"SeeWhy {about.created_by}"),
    ]
