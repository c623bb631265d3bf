"""Markdown, with tables and formulas. It is turned into a web page and read as one: what is hidden
in a page can be hidden in Markdown, too."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.texmath import texmath_plugin

from engines.knowledge.documents import html
from engines.knowledge.documents.draft import Draft
from engines.knowledge.documents.text import decoded

_TITLE = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.M)


def read(data: bytes, draft: Draft) -> None:
    text = decoded(data)
    parser = _parser()
    tokens = parser.parse(text)
    if title := _title(tokens):
        draft.heading(0, title)
    page = parser.renderer.render(tokens, parser.options, {})
    html.read_page(f"<body>{page}</body>", draft)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 50}).enable("table")
    parser.use(front_matter_plugin)
    parser.use(dollarmath_plugin, allow_digits=False, double_inline=True)
    parser.use(texmath_plugin, delimiters="brackets")
    parser.use(amsmath_plugin)
    for name in ("math_inline", "math_inline_double", "math_block", "math_block_label", "amsmath"):
        parser.add_render_rule(name, _formula)
    return parser


def _title(tokens: Sequence[Token]) -> str:
    for token in tokens:
        if token.type == "front_matter" and (found := _TITLE.search(token.content)):
            return found[1]
    return ""


def _formula(
    renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    """As a page would have it, with what its author wrote inside."""
    token = tokens[index]
    block = token.type not in ("math_inline", "math_inline_double")
    tex = escapeHtml(token.content.strip())
    return (
        f'<math display="{"block" if block else "inline"}">'
        f'<annotation encoding="application/x-tex">{tex}</annotation></math>'
    )
