"""The page at /docs: an OpenAPI document as plain HTML that needs nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { border-top: 1px solid #ddd; padding-top: 1rem; text-transform: capitalize }
code, pre { font: 13px/1.5 ui-monospace, monospace; background: #f5f5f5; border-radius: 3px }
code { padding: 0 .2em } pre { padding: .6rem; overflow-x: auto; white-space: pre-wrap }
summary { cursor: pointer; padding: .3rem 0 } details { margin: .2rem 0 }
.method { display: inline-block; min-width: 4rem; font-weight: 600 }
table { border-collapse: collapse } td { padding: .1rem .8rem .1rem 0; vertical-align: top }
"""


def page(document: Mapping[str, Any]) -> str:
    """The document as a page: operations by tag, then the types."""
    tags: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            tags.setdefault(told["tags"][0], []).append(_operation(method.upper(), path, told))
    parts = [f"<h2>{escape(tag)}</h2>{''.join(each)}" for tag, each in tags.items()]
    types = "".join(_type(name, schema) for name, schema in document["components"]["schemas"].items())
    info = document["info"]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>"
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['summary'])} For programs: <a href=openapi.json>openapi.json</a>.</p>"
        f"{''.join(parts)}<h2>types</h2>{types}</html>"
    )


def _operation(method: str, path: str, told: Mapping[str, Any]) -> str:
    lines = [f"<p>{escape(told['summary'])}.</p>"]
    if "description" in told:
        lines.append(f"<pre>{escape(told['description'])}</pre>")
    if "parameters" in told:
        rows = "".join(
            f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}"
            f"<td>{escape(one.get('description', ''))}{' (required)' if one['required'] else ''}"
            for one in told["parameters"]
        )
        lines.append(f"<table>{rows}</table>")
    if "requestBody" in told:
        lines.append(f"<p>Body: {_content(told['requestBody']['content'])}</p>")
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(one['description'])}<td>{_content(one['content'])}"
        for status, one in told["responses"].items()
    )
    lines.append(f"<table>{rows}</table>")
    return (
        f"<details><summary><span class=method>{method}</span><code>{escape(path)}</code> "
        f"{escape(told['summary'])}</summary>{''.join(lines)}</details>"
    )


def _content(content: Mapping[str, Any]) -> str:
    return ", ".join(
        f"<code>{escape(media)}</code>{_named(one.get('schema', {}))}" for media, one in content.items()
    )


def _named(schema: Mapping[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f" <a href=#{escape(name)}>{escape(name)}</a>" if name else ""


def _type(name: str, schema: Mapping[str, Any]) -> str:
    return (
        f"<details id={escape(name)}><summary><code>{escape(name)}</code> {escape(schema.get('description', ''))}"
        f"</summary><pre>{escape(json.dumps(schema, indent=2))}</pre></details>"
    )
