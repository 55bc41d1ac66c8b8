"""The API's documentation as one page: made here from openapi.json, without a script, nothing loaded from anywhere."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_METHODS = ("get", "post", "put", "patch", "delete")
_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; }
summary { cursor: pointer; padding: .3rem 0; } summary code { font-size: 1rem; font-weight: 600; }
table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100%; }
th, td { border: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top; }
code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere; } pre { white-space: pre-wrap; }
details > details, details > div { margin-left: 1.2rem; } :target { outline: 2px solid; }
"""


def api_page(openapi: Mapping[str, Any]) -> str:
    """Every operation with its parameters, body and replies, then every schema.

    Args:
        openapi: the document that the API serves.
    """
    info = openapi["info"]
    title = f"{info['title']} {info['version']}"
    operations = "\n".join(_operations(openapi["paths"]))
    schemas = "\n".join(
        _schema(name, schema) for name, schema in sorted(openapi.get("components", {}).get("schemas", {}).items())
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: the API</title><style>{_STYLE}</style></head><body>
<h1>{escape(title)}: the API</h1>
<p>{escape(info.get("summary", ""))} Send <code>Authorization: Bearer TOKEN</code> with every request;
<code>make up</code> prints the token. For programs: <a href="/api/v1/openapi.json">openapi.json</a>.</p>
<pre>curl -H "Authorization: Bearer $(cat data/backend/token)" http://127.0.0.1:8000/api/v1/runs</pre>
<h2>Operations</h2>
{operations}
<h2>Schemas</h2>
{schemas}
</body></html>"""


def _operations(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method in _METHODS:
            if method in methods:
                yield _operation(method, path, methods[method])


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    about = operation.get("description") or operation.get("summary", "")
    parts = [f"<p>{escape(about)}</p>"]
    if operation.get("parameters"):
        rows: list[tuple[str, ...]] = [
            (one["name"], one["in"], _kind(one.get("schema", {})), "yes" if one.get("required") else "", _about(one))
            for one in operation["parameters"]
        ]
        parts.append(_table(("Parameter", "In", "Type", "Required", ""), rows))
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body, {escape(media)}: {_kind(content.get('schema', {}))}</p>")
    replies: list[tuple[str, ...]] = [
        (code, ", ".join(reply.get("content", {})), _reply_kinds(reply), reply.get("description", ""))
        for code, reply in operation.get("responses", {}).items()
    ]
    parts.append(_table(("Reply", "Media type", "Type", ""), replies))
    head = f"<code>{method.upper()} {escape(path)}</code> {escape(operation.get('summary', ''))}"
    return f"<details><summary>{head}</summary><div>{''.join(parts)}</div></details>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows: list[tuple[str, ...]] = [
        (field, _kind(one), "yes" if field in required else "", _about(one))
        for field, one in schema.get("properties", {}).items()
    ]
    fields = _table(("Field", "Type", "Required", ""), rows) if rows else f"<p>{_kind(schema)}</p>"
    about = f"<p>{escape(schema.get('description', ''))}</p>"
    return f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{about}{fields}</details>'


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table; its column of types is HTML already, the others are text."""
    html = "".join(
        "<tr>"
        + "".join(
            f"<td>{cell if title == 'Type' else escape(cell)}</td>" for title, cell in zip(head, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{''.join(f'<th>{title}</th>' for title in head)}</tr>{html}</table>"


def _reply_kinds(reply: Mapping[str, Any]) -> str:
    return ", ".join(_kind(content.get("schema", {})) for content in reply.get("content", {}).values())


def _about(one: Mapping[str, Any]) -> str:
    schema = one.get("schema", one)
    text: str = one.get("description") or schema.get("description", "")
    return text + (f" Default: {json.dumps(schema['default'])}." if "default" in schema else "")


def _kind(schema: Mapping[str, Any]) -> str:
    """The type in short, as HTML; a named schema is a link to its place below."""
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " or ".join(_kind(one) for one in schema[word])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"<code>{escape(json.dumps(one))}</code>" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {})) or 'anything'}"
    limits = [
        f"{word} {schema[name]}"
        for name, word in (
            ("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"),
            ("maxLength", "of a length up to"),
        )
        if name in schema
    ]  # fmt: skip
    return escape(" ".join([str(schema.get("type", "anything")), *limits]))
