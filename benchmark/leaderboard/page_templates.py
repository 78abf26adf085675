"""The Jinja templates of pages, in the `templates` folder of each package that writes some."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def page_templates(package: str, *, is_html: bool = True) -> Environment:
    """Return the environment of a package's templates, in which an unknown variable is an error.

    Args:
        is_html: whether values are escaped. Markdown is not HTML: callers escape what is not ours.
    """
    return Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=is_html,
    )
