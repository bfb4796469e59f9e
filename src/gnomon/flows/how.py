"""How: an output of a layout → what is computed for it, in words. One wording for plans and for explanations."""

from __future__ import annotations

from gnomon.define.aggregate import QUANTILES
from gnomon.plan.layout import NONE, Layout, Output
from gnomon.time import show_duration


def how(layout: Layout, output: Output) -> str:
    """`sum(amount) where (amount > 2) in [t - 7d, t), newest 5`, or `temp of the newest row not older than 3h`."""
    if layout.kind == "state":
        age = "of any age" if layout.max_age is None else f"not older than {show_duration(layout.max_age)}"
        return f"{layout.inputs[output.input].text} of the newest row {age}"
    text = f"{output.function}({', '.join(_arguments(layout, output))})"
    if output.where != NONE:
        text += f" where {layout.inputs[output.where].text}"
    if output.by != NONE:
        text += f" by {layout.inputs[output.by].text}"
    end = f"t - {show_duration(output.offset)}" if output.offset else "t"
    if layout.forward:
        text += f" in [t, t + {show_duration(output.window)}), by the latest knowledge"
    elif output.window != NONE:
        text += f" in [{end} - {show_duration(output.window)}, {end})"
    else:
        text += f" of all rows before {end}"
    if output.limit != NONE:
        text += f", newest {output.limit}"
    if output.include_request:
        text += ", with the request's own row"
    return text


def _arguments(layout: Layout, output: Output) -> list[str]:
    """What stands in the function's parentheses."""
    arguments = [layout.inputs[output.input].text] if output.input != NONE else []
    if output.function in ("first_k", "last_k", "top_k"):
        arguments.append(f"k={output.k}")
    if output.function in QUANTILES:
        arguments.append(f"q={output.q:g}")
    if output.half_life:
        arguments.append(f"half_life={show_duration(output.half_life)}")
    if output.function in ("var", "std"):
        arguments.append(f"ddof={output.ddof}")
    if output.distinct:
        arguments.append("distinct")
    if output.keep_nulls:
        arguments.append("nulls kept")
    return arguments
