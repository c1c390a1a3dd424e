"""What mkdocs does beside its plugins: formulas become MathML, links out of the guide become plain words."""

from __future__ import annotations

import html
import logging
import posixpath
import re
from typing import Any

from latex2mathml.converter import convert

# Warnings of this logger let `mkdocs build --strict` fail.
LOG = logging.getLogger("mkdocs.hooks.formulas")
# What pymdownx.arithmatex makes of $...$ and $$...$$.
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
# A function before its argument, where no bracket stands between them, needs the space that TeX would put.
FUNCTION = re.compile(r"(<mi>(?:log|exp|max|min)</mi>)(?!<mo|</)")
LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files outside the guide into their names: it may be read where the repository is not."""
    folder = posixpath.dirname(page.file.src_uri)

    def without_outward(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        return f"{link[1]} (`{target[3:]}`)" if target.startswith("../") else link[0]

    return LINK.sub(without_outward, markdown)


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Turn formulas into MathML, which browsers render by themselves: no script, no font, no network."""

    def converted(found: re.Match[str], display: str) -> str:
        mathml = FUNCTION.sub(r'\1<mspace width="0.17em" />', convert(html.unescape(found[1]), display=display))
        # What the converter does not know it leaves as it is.
        if "\\" in html.unescape(mathml):
            LOG.warning("%s: not understood in a formula: %s", page.file.src_uri, found[1])
        return mathml

    content = INLINE.sub(lambda found: converted(found, "inline"), content)
    return DISPLAY.sub(lambda found: f'<div class="formula">{converted(found, "block")}</div>', content)
