"""A page that asks nothing of a network and shows any name as text: style and script lie in it."""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from seewhy.text import visible


def page(template: str, styles: Sequence[str], script: str, **values: Any) -> str:
    """A template filled in; its content security policy allows its own style and script alone."""
    style = "\n".join(_environment().get_template(name).render() for name in styles)
    code = _environment().get_template(script).render()
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),
            script=Markup(code),
            style_hash=_hash(style),
            script_hash=_hash(code),
            **values,
        )
    )


def embedded(values: Any) -> Markup:
    """Values for the script, as JSON in which no markup can begin."""
    text = json.dumps(values, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def _environment() -> Environment:
    """Templates in which everything is escaped, and control characters are spelled out."""

    def finalize(value: Any) -> Any:
        return (
            visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
        )

    return Environment(
        loader=PackageLoader("seewhy.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )


def _hash(text: str) -> str:
    """What a content security policy calls an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
