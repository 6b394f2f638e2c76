"""What the images promise: their ports, and that nothing unlocked gets into them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import Settings as AppSettings
from hack.localcluster.images import SOURCE_DATE_EPOCH
from selfhealing.controller.settings import Settings

ROOT = Path(__file__).parents[2]
FILES = ("Dockerfile.operator", "Dockerfile.app")
LABELS = {"title", "description", "licenses", "version", "revision"}


def read_instructions(file: str) -> str:
    """The Dockerfile without comments, with continued lines joined."""
    lines = (ROOT / file).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return text.replace("\\\n", " ")


@pytest.mark.parametrize(
    ("file", "ports"),
    [
        (
            "Dockerfile.operator",
            [Settings().metrics_port, Settings().health_port],
        ),
        ("Dockerfile.app", [AppSettings().port]),
    ],
)
def test_the_ports(file: str, ports: list[int]) -> None:
    """They are the defaults of the settings."""
    found = re.findall(r"^EXPOSE (.+)$", read_instructions(file), re.MULTILINE)

    assert [" ".join(str(port) for port in ports)] == found


@pytest.mark.parametrize("file", FILES)
def test_packages_are_locked_wheels(file: str) -> None:
    """A source distribution would run its own code while the image is built."""
    installs = re.findall(r"pip [^&\n]*\binstall\b[^&\n]*", read_instructions(file))

    assert 1 == len(installs)
    assert "--require-hashes" in installs[0]
    assert "--only-binary=:all:" in installs[0]


@pytest.mark.parametrize("file", FILES)
def test_labels_and_user(file: str) -> None:
    """The labels are those of the OCI image specification; the user is a number and not root."""
    text = read_instructions(file)

    assert LABELS == set(re.findall(r"org\.opencontainers\.image\.(\w+)=", text))
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)


@pytest.mark.parametrize("file", FILES)
def test_every_stage_has_the_chosen_base(file: str) -> None:
    """So that BASE=NAME@sha256:DIGEST pins all of the image."""
    bases = re.findall(r"^FROM (\S+)", read_instructions(file), re.MULTILINE)

    assert {"${BASE}"} == set(bases)


def split_stages(file: str) -> list[str]:
    """Return the instructions of each stage."""
    return re.split(r"^FROM ", read_instructions(file), flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("file", FILES)
def test_the_last_stage_only_copies_and_the_others_set_the_time_of_what_it_copies(
    file: str,
) -> None:
    """Else the times of the build are in a layer, and no two builds are the same."""
    *stages, last = split_stages(file)

    assert re.findall(r"^(?:ADD|RUN|COPY) .*$", last, re.MULTILINE) == [
        "COPY --from=packages /image /",
        "COPY --from=code /image /",
    ]
    for stage in stages:
        *_, run = re.findall(r"^RUN (.*)$", stage, re.MULTILINE)

        assert run.endswith('find /image -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +')
        assert "compileall -q --invalidation-mode unchecked-hash" in run
        assert f"ARG SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH}" in stage


@pytest.mark.parametrize("file", FILES)
def test_the_code_stage_makes_the_same_of_every_checkout(file: str, tmp_path: Path) -> None:
    """Whatever the times and modes of its files, and wherever in the image Python finds them."""
    _, stage, _ = split_stages(file)
    [(source, target)] = re.findall(r"^COPY (\S+) (\S+)$", stage, re.MULTILINE)
    [command] = re.findall(r"^RUN (.*)$", stage, re.MULTILINE)
    results = []
    for time, mode in ((1e9, 0o644), (1.5e9, 0o664)):
        image = tmp_path / f"image-{time:.0f}"
        package = image / target.removeprefix("/image/") / "shop"
        package.mkdir(parents=True)
        for name in ("__init__.py", "b.py", "a.py"):
            (package / name).write_text(f"NAMES = {{'x', 'y', {name!r}}}\ndef f(): return NAMES\n")
            (package / name).chmod(mode)
            os.utime(package / name, (time, time))
        run_in_shell(command.replace("/image", str(image)))
        results.append(list_tree(image))

    assert results[0] == results[1]
    [bytecode] = [each for each in results[0] if "__pycache__/a." in each[0]]
    path = f"{target.removeprefix('/image')}/shop/a.py"
    assert path.encode() in bytecode[-1]
    assert {SOURCE_DATE_EPOCH} == {each[2] for each in results[0]}
    assert source == Path(target).name


def run_in_shell(command: str) -> None:
    """Run a command as a build does, with the Python of the tests."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH)}
    subprocess.run(["sh", "-c", command], env=environment, check=True, timeout=60)


def list_tree(folder: Path) -> list[tuple[str, int, float, bytes]]:
    """Return path, mode, time and content of what is in a folder."""
    return [
        (
            str(path.relative_to(folder)),
            path.stat().st_mode,
            path.stat().st_mtime,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    ]
