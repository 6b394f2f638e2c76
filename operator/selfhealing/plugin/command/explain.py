"""``explain``: what is wrong with an app, in plain words."""

import click

from selfhealing.plugin.command.options import (
    ClusterChoice,
    app_argument,
    cluster_options,
    output_option,
)
from selfhealing.plugin.command.output import print_data, print_lines
from selfhealing.plugin.view.language import Language


@click.command()
@app_argument()
@click.option(
    "--lang",
    type=click.Choice([language.value for language in Language]),
    default=Language.EN.value,
    show_default=True,
    help="The language: English or Chinese.",
)
@output_option
@cluster_options
def explain(choice: ClusterChoice, name: str, lang: str, output: str) -> None:
    """Explain the state of an app in plain words.

    What is wrong; whose fault it is and how that was found; what the operator will do next, and
    when; what a person can do; where the evidence is.
    """
    from selfhealing.plugin.cluster.reader import read_app
    from selfhealing.plugin.view.build import build_app
    from selfhealing.plugin.view.explain import explain_app, format_explanation
    from selfhealing.plugin.view.json_output import to_json

    with choice.connect() as connection:
        app = build_app(read_app(connection.cluster, connection.namespace, name))
    sections = explain_app(app, Language(lang))
    if output == "text":
        print_lines(format_explanation(app, sections))
    else:
        print_data(to_json(sections), output)
