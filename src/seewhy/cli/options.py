"""Options that several verbs share, and how a verb prints its result."""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from math import isnan
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

import seewhy
from seewhy.cli.completion import data_sets
from seewhy.cli.screen import Part, written
from seewhy.errors import UsageError

Verb = Callable[..., Any]


class Bounded(click.FloatRange):
    """A number within bounds, and not NaN, which click takes to be within any."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        return self.fail(f"{value} is not a number", param, ctx) if isnan(number) else number


DATA = "digits, cifar10, a folder, an archive or a table"
PATH = click.Path(path_type=Path)
as_json = click.option("--json", "as_json", is_flag=True, help="print one JSON object")
data_option = click.option("--data", required=True, shell_complete=data_sets, help=DATA)
READING = {  # fields of `DataConfig`, and their flags
    "on_bad": "--on-bad",
    "max_bad": "--max-bad",
    "layout": "--layout",
    "label_column": "--label-column",
    "follow_links": "--follow-links",
}
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or mps"
)


def split_option(*splits: str) -> Callable[[Verb], Verb]:
    """Adds --split, validation by default."""
    return click.option("--split", type=click.Choice(splits), default="val", show_default=True)


def reading_options(verb: Verb) -> Verb:
    """Adds the flags that say how the images of --data are read; the verb gets those given as `options`."""

    @functools.wraps(verb)
    def command(**values: Any) -> Any:
        chosen = {name: values.pop(name) for name in READING}
        options = {name: value for name, value in chosen.items() if value not in (None, False)}
        return verb(**values, options=options)

    kinds: dict[str, Any] = {
        "on_bad": {"type": click.Choice(["error", "skip"])},
        "max_bad": {"type": Bounded(0, 1)},
        "follow_links": {"is_flag": True},
    }
    for name, flag in reversed(READING.items()):
        command = click.option(flag, name, help="as for train", **kinds.get(name, {}))(command)
    return command


class Typed(click.Command):
    """Keeps the arguments as they were typed, which other processes get."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.obj = list(args)
        return super().parse_args(ctx, args)


def engine_option(text: str) -> Callable[[Verb], Verb]:
    """Adds --engine; `text` says what a Ray cluster does for the verb."""
    choice = click.Choice(["local", "ray"])
    return click.option("--engine", type=choice, default="local", show_default=True, help=text)


def sharing_options(verb: Verb) -> Verb:
    """Adds --processes and --engine to a `Typed` verb of several runs."""
    text = "use N processes on this machine: each trains a part of the runs, or a part of one run's shards"
    ray = "ray: have a Ray cluster train the runs, whose machines reach --data and --out by the same names"
    return click.option("--processes", type=int, help=text)(engine_option(ray)(verb))


def start_processes(count: int, together: bool = False) -> NoReturn:
    """Runs the verb in several processes, each of which gets its other arguments, and exits as they do."""
    context = click.get_current_context()
    if seewhy.in_group():
        raise UsageError("this process is one of several already: leave out --processes")
    if context.params["engine"] != "local":
        raise UsageError("--processes and --engine ray both share the runs: choose one")
    typed = list(context.obj)
    at = next(i for i, text in enumerate(typed) if text.split("=")[0] == "--processes")
    del typed[at : at + (1 if "=" in typed[at] else 2)]
    sys.exit(seewhy.in_processes([str(context.info_name), *typed], count, together=together))


def runtime_option(verb: Verb) -> Verb:
    """Adds --runtime: what computes the model."""
    text = "openvino: compute ONNX files by OpenVINO"
    choice = click.Choice(["auto", "openvino"])
    return click.option("--runtime", type=choice, default="auto", help=text)(verb)


def refuse_given(flags: Mapping[str, str], why: str) -> None:
    """Raises `UsageError` for a flag, named by its parameter, that was given and has no effect."""
    source = click.get_current_context().get_parameter_source
    for name, flag in flags.items():
        if source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{flag} {why}")


def trust_option(verb: Verb) -> Verb:
    """Adds --trust-onnx, which has the verb's models trusted before it runs."""

    @functools.wraps(verb)
    def command(trust_onnx: bool, **values: Any) -> Any:
        if trust_onnx:
            models = values["models"] if "models" in values else values["model"]
            seewhy.trust_onnx(models)
        return verb(**values)

    text = "open an ONNX file that another machine exported, once it is tried with limits"
    return click.option("--trust-onnx", is_flag=True, help=text)(command)


def log_options(verb: Verb) -> Verb:
    """Adds --log-file and --log-json, by which the verb's work is logged while it runs."""

    @functools.wraps(verb)
    def command(log_file: Path | None, log_json: bool, **values: Any) -> Any:
        if log_file is None and not log_json:
            return verb(**values)
        with seewhy.log_to(log_file, as_json=log_json):
            return verb(**values)

    text = "log start, model, counts, rate, each error and the end at the end of this file"
    command = click.option("--log-json", is_flag=True, help="log JSON lines [to stderr]")(command)
    return click.option("--log-file", type=PATH, help=text)(command)


def show(result: Any, as_json: bool, text: Callable[[Any], Iterable[Part]]) -> None:
    """Prints a result, as one JSON object or as the lines and tables that `text` makes of it."""
    if as_json:
        click.echo(json.dumps(seewhy.to_json(result), allow_nan=False))
    else:
        click.echo(written(text(result), sys.stdout))
