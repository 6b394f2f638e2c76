"""Rendering of report pages with Jinja.

A page needs no network and no script: drawings are SVG in the page, and colours follow the
reader's choice of light or dark.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hack.testkit.progress import format_duration

_TEMPLATES = Path(__file__).parent


def render_page(folder: Path, template: str, **values: object) -> str:
    """Render a template.

    Args:
        folder: the folder of the template; the templates of this package are found too.
        template: the file name of the template.
        values: the variables of the template.
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
