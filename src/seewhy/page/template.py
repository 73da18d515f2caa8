"""Pages that load nothing and show every name as text; style and script are inside the page."""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from math import isnan
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from seewhy.evaluation.stats.intervals import Interval
from seewhy.files import to_json
from seewhy.text import counted, epochs_done, visible


def page(template: str, styles: Sequence[str], script: str, **values: Any) -> str:
    """A rendered template; its content security policy allows only its own style and script."""
    load = _environment().get_template
    style = "\n".join(load(name).render() for name in styles)
    code = load(script).render()
    values |= {"style": Markup(style), "style_hash": _hash(style)}
    values |= {"script": Markup(code), "script_hash": _hash(code)}
    return load(template).render(values)


def embedded(values: Any) -> Markup:
    """Values for the script, as JSON that cannot contain markup; NaN is null."""
    text = json.dumps(to_json(values), separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def _environment() -> Environment:
    """The environment of the templates: all values are escaped, control characters are spelled out."""

    def finalize(value: Any) -> Any:
        plain = isinstance(value, str) and not isinstance(value, Markup)
        return visible(value) if plain else value

    environment = Environment(
        loader=PackageLoader("seewhy.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
    environment.globals |= {
        "counted": counted,
        "epochs_done": epochs_done,
        "number": number,
        "percent": percent,
        "span": span,
    }
    return environment


def number(count: int) -> str:
    """A count as text: "1,234"."""
    return f"{count:,}"


def percent(rate: float) -> str:
    """A rate as text; a dash for NaN."""
    return "–" if isnan(rate) else f"{100 * rate:.1f}%"


def span(interval: Interval) -> str:
    """A confidence interval as text: "95.0 to 97.1%"; empty where there is none."""
    return "" if isnan(interval.low) else f"{100 * interval.low:.1f} to {percent(interval.high)}"


def _hash(text: str) -> str:
    """The hash by which a content security policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
