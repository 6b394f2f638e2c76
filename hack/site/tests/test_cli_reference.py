"""The page of the command line names every command, with the options that its help has."""

import click

from hack.site.cli_reference import render_cli
from selfhealing.plugin.command.main import COMMANDS, cli

SHARED = {"context", "kubeconfig", "namespace"}


def test_every_command_of_the_plugin_is_described_with_its_options() -> None:
    sections = dict(
        part.partition("\n")[::2] for part in "\n".join(render_cli()).split("\n### kubectl ")
    )

    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command
        own = [each for each in command.params if each.name not in SHARED]
        assert all(
            option in sections[f"selfheal {name}"]
            for each in own
            for option in each.opts
            if option.startswith("-")
        )


def test_shared_options_are_named_once() -> None:
    text = "\n".join(render_cli())

    assert [text.count(f"--{name}") for name in ("context", "kubeconfig")] == [1, 1]


def test_commands_for_the_files_of_deploy_are_described() -> None:
    lines = list(render_cli())

    assert "## python -m selfhealing.cli.olm_bundle" in lines
    assert "## python -m selfhealing.cli.chart" in lines
