"""Pages for a browser: one style and one way to draw a timeline, for every report.

A page needs no network and no script: drawings are SVG in the page, colours follow the reader's
choice of light or dark.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hack.testkit.progress import format_duration

_TEMPLATES = Path(__file__).parent


def render_page(folder: Path, template: str, **values: object) -> str:
    """Fill in a template.

    Args:
        folder: where it is; ``page.html.j2`` and ``timeline.html.j2``, which it builds on, are
            here.
        template: its file's name.
        values: what it names.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, _TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["clock"] = format_duration
    return environment.get_template(template).render(**values) + "\n"
