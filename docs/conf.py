"""Sphinx builds the documentation from this file: `make docs` writes docs/_build/index.html.

The sources are the repository's own pages where they are (README, CONTRIBUTING, docs/, leaderboards/, speed/), so a
link between two of them works on a code host and on the site. Nothing is fetched from a network.
"""

import re
import shutil
import sys
import tomllib
from inspect import getdoc
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
GALLERIES = ROOT / "leaderboards" / "site"
sys.path.insert(0, str(ROOT))

project = "CSS-bench"
author = "The CSS-bench authors"
copyright = author
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "leaderboards/*.md", "speed/*.md"]
# Sphinx walks through every folder that is not named here.
exclude_patterns = [
    *(path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("docs", "leaderboards", "speed")),
    "docs/_build",
    "leaderboards/*/**",
    "speed/*/**",
]
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]

myst_enable_extensions = ["attrs_block", "colon_fence"]
myst_heading_anchors = 4
# Docstrings and help texts have `code` in single backticks, and options with two hyphens.
default_role = "code"
smartquotes = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True
copybutton_prompt_text = ">>> "
copybutton_only_copy_prompt_lines = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_sidebars = {
    page: []
    for page in ("docs/index", "docs/tutorial", "docs/commands", "docs/python", "README", "CONTRIBUTING", "CHANGELOG")
}
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

START = '<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=docs/index.html">\n'


def new_pages() -> str:
    """Return the pages of docs/ that no toctree names, one a line, so that a page that somebody adds is found."""
    pages = {path.stem: path.read_text() for path in (ROOT / "docs").glob("*.md")}
    trees = "".join(
        tree for text in pages.values() for tree in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL)
    )
    named = set(re.findall(r"^(?:.*<)?([\w./-]+)>?$", trees, re.MULTILINE)) | {"index"}
    return "\n".join(sorted(pages.keys() - named))


def recipe_keys() -> str:
    """Return a Markdown table of every key of a recipe: what the docstrings say of it, and its value by preset."""
    from benchmark.recipe.label import written
    from benchmark.recipe.presets import PRESETS
    from benchmark.recipe.schema import Recipe

    lines = [f"| Key | {' | '.join(PRESETS)} |", "|---|" + "--:|" * len(PRESETS)]
    for key in Recipe.keys():  # noqa: SIM118  not a dict
        part, _, name = key.partition(".")
        text = getdoc(Recipe.model_fields[part].annotation) or ""
        meaning = re.search(rf"^ *`?{name}`?: ((?:.|\n)*?)(?=\n *\w+: |\Z)", text, re.MULTILINE)
        values = (written(preset.value(key)) or "-" for preset in PRESETS.values())
        named = f"`{key}`: {' '.join(meaning[1].split())}" if meaning else f"`{key}`"
        lines.append(f"| {named} | {' | '.join(values)} |")
    return "\n".join(lines)


def galleries() -> str:
    """Return a link to the pages that `make site` built, where there are any."""
    is_built = (GALLERIES / "index.html").exists()
    return '<a href="../boards/index.html">Sortable tables and galleries of real queries</a>' if is_built else ""


ADDED = {
    "% New pages are added here.": new_pages,
    "% The keys of a recipe are added here.": recipe_keys,
    "% The galleries are linked here.": galleries,
}
"""What replaces a comment in a page."""


def fill_in(app: Sphinx, _docname: str, source: list[str]) -> None:
    """Replace the comments of `ADDED` in a page."""
    for comment, text in ADDED.items():
        if comment in source[0]:
            source[0] = source[0].replace(comment, text())
            app.env.note_reread()


def keep_columns(_: Sphinx, _context: object, lines: list[str]) -> None:
    """Show the lines of a help text that keep their breaks as code, so that their columns stay."""
    shown: list[str] = []
    for line in lines:
        is_kept = line.startswith("| ")
        if is_kept and not (shown and shown[-1].startswith("   ")):
            shown += [".. code-block:: text", ""]
        shown.append("   " + line.removeprefix("| ") if is_kept else line)
    lines[:] = shown


def options_as_in_help(_: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Describe options as `--help` does, with the names, bounds and defaults that it prints."""
    lines[:] = []
    for parameter in context.command.get_params(context):
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            lines += [f".. option:: {record[0]}", "", f"   {record[1]}", ""]


def keep_sentence(_: Sphinx, what: str, _name: str, _thing: object, _options: object, lines: list[str]) -> None:
    """Begin a property's docstring with an empty type, because napoleon takes what is before a colon as its type."""
    if what in ("property", "attribute"):
        lines[0] = f": {lines[0]}"


def show_factories(_: Sphinx, *args: Any) -> tuple[str | None, str | None]:
    """Return a signature in which the default of a dataclass's field that a function makes can be read by Python."""
    *_others, signature, returned = args
    return signature and signature.replace("<factory>", "..."), returned


def name_fields(_: Sphinx, doctree: nodes.document) -> None:
    """Write fields of classes as the docstrings do."""
    words = {" -- ": " \N{EN DASH} ", "Variables": "Attributes"}
    for text in list(doctree.findall(nodes.Text)):
        if text in words and text.parent.parent:
            text.parent.replace(text, nodes.Text(words[text]))


def finish(app: Sphinx, error: Exception | None) -> None:
    """Let the folder itself open the first page, which is docs/index.html, and add the galleries of the boards."""
    if error is None and app.builder.name == "html":
        (Path(app.outdir) / "index.html").write_text(START)
        if galleries():
            shutil.copytree(GALLERIES, Path(app.outdir) / "boards", dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    """Connect the functions above to the build."""
    app.connect("source-read", fill_in)
    app.connect("sphinx-click-process-description", keep_columns)
    app.connect("sphinx-click-process-options", options_as_in_help)
    app.connect("autodoc-process-docstring", keep_sentence, priority=400)
    app.connect("autodoc-process-signature", show_factories)
    app.connect("doctree-read", name_fields)
    app.connect("build-finished", finish)
