"""How Sphinx builds the site: offline, every warning an error (`make docs`)."""

import re
from importlib.metadata import version as installed_version
from inspect import isclass

from docutils.nodes import Element, SkipNode, math_block
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.inspect import signature, stringify_signature
from sphinx.writers.html5 import HTML5Translator

from moduli.manifolds import Manifold

project = "moduli"
author = project_copyright = "The moduli authors"
version = release = installed_version("moduli")

# Of the tools for notebooks as text, MyST-NB is the one that also runs them, as pages of the site.
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
default_role = "any"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

add_module_names = False
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"moduli {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
# Furo's own, less advertisements, and a way to the versions that are built side by side (versions.py).
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
        "versions.html",
    ]
}
templates_path = ["templates"]
exclude_patterns = ["templates"]


def setup(app: Sphinx) -> None:
    """Tell Sphinx about the functions below."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("source-read", link_measurements)
    app.connect("include-read", link_included)
    app.connect("autodoc-process-signature", show_constructor)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)


def write_formula(writer: HTML5Translator, node: Element) -> None:
    """Write a formula as MathML, which browsers draw without a script or a font from elsewhere."""
    if isinstance(node, math_block):
        writer.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    else:
        writer.body.append(tex2mathml(node.astext()))
    raise SkipNode


def link_measurements(app: Sphinx, page: str, source: list[str]) -> None:
    """Lead links to files of the folder benchmarks to the page that includes them."""
    source[0] = re.sub(r"\]\(\.\./benchmarks/([\w-]+)\.md\)", measurement, source[0])


def link_included(app: Sphinx, path: object, page: str, source: list[str]) -> None:
    """Lead the links of these files to one another to their places on that page."""
    source[0] = re.sub(r"\]\(([\w-]+)\.md\)", measurement, source[0])


def measurement(link: re.Match[str]) -> str:
    """Return the end of a link to the place where a file is included."""
    return f"](#benchmarks-{link[1].lower()})"


def show_constructor(
    app: Sphinx, what: str, name: str, value: object, options: object, shown: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Show a manifold's own arguments, not those of ``Manifold.__new__``, which records them."""
    if isclass(value) and issubclass(value, Manifold):
        return stringify_signature(signature(value.__init__, bound_method=True), show_annotation=False), None
    return shown, returned


def keep_colons(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Begin attributes with an empty comment: napoleon would take the words before a colon for a type."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]
