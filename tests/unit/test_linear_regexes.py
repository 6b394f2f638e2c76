"""Every pattern of the operator, and all that is made of them, takes linear time on any text.

A text of twice the length may take twice the time. Times are those of the processor, not of the
clock, and the least of several runs, so that a busy machine does not matter.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import process_time
from typing import Final

import pytest
import re2

import selfhealing
from selfhealing.api.linear_regex import Pattern
from selfhealing.api.text import clean_text
from selfhealing.controller.child_errors import sync_error
from selfhealing.evidence.redaction import redact, redact_message, strip_control_characters
from selfhealing.evidence.secret_blocks import mask_blocks
from selfhealing.evidence.secret_names import is_secret_name
from selfhealing.health import messages
from selfhealing.health.fault_origin import classify_fault
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.kube.errors import InvalidError

AnyPattern = re.Pattern[str] | Pattern
PATTERN_TYPES: Final = (re.Pattern, re2._Regexp)  # noqa: SLF001 - it has no public name

DEVELOPER_TOOLS: Final = "selfhealing.crdgen"
"""Runs on the project's own files only."""

PATTERNS: Final[Mapping[str, str]] = {
    "selfhealing.api.duration._DURATION_REGEX": "fullmatch",
    "selfhealing.api.quantity._QUANTITY": "match",
    "selfhealing.api.text._ESCAPE_SEQUENCES": "sub",
    "selfhealing.cache.child_views._REPLICA_SET": "search",
    "selfhealing.cache.parse_events._FIELD_PATH": "match",
    "selfhealing.cache.parse_events._POD_STOP_MESSAGE": "match",
    "selfhealing.cache.parse_events._PROBE_KILL_MESSAGE": "match",
    "selfhealing.cache.probes._ANSWERS": "search",
    "selfhealing.cache.probes._STATUS_CODE": "match",
    "selfhealing.cache.probes._UNHEALTHY_MESSAGE": "match",
    "selfhealing.controller.child_errors._INVALID_VALUE": "sub",
    "selfhealing.controller.http_head._HEAD": "fullmatch",
    "selfhealing.controller.settings._SERVICE_LINK": "search",
    "selfhealing.evidence.bundle._CAMEL_BOUNDARY": "sub",
    "selfhealing.evidence.bundle._KEY_PATTERN": "fullmatch",
    "selfhealing.evidence.known_values._PUBLIC": "fullmatch",
    "selfhealing.evidence.secret_blocks._BLOCK": "match",
    "selfhealing.evidence.secret_blocks._ENTRY": "match",
    "selfhealing.evidence.secret_blocks._KEY_BEGIN": "sub",
    "selfhealing.evidence.secret_blocks._KEY_BODY": "match",
    "selfhealing.evidence.secret_blocks._KEY_END": "sub",
    "selfhealing.evidence.secret_blocks._SECRET_DATA": "sub",
    "selfhealing.evidence.secret_blocks._SECRET_KIND": "search",
    "selfhealing.evidence.secret_names._WORD_BOUNDARY": "sub",
    "selfhealing.evidence.secret_values._BLOCK_INDICATOR": "match",
    "selfhealing.evidence.secret_forms.FORMS": "sub",
    "selfhealing.evidence.secret_locators.LOCATORS": "sub",
    "selfhealing.evidence.secret_values._REST": "match",
    "selfhealing.evidence.secret_values._OBJECT": "match",
    "selfhealing.evidence.secret_values._TRIVIAL_VALUE": "match",
    "selfhealing.evidence.secret_values._BARE": "match",
    "selfhealing.evidence.secret_values._IN_BRACKETS": "match",
    "selfhealing.evidence.secret_values._IN_ELEMENT": "match",
    "selfhealing.evidence.secret_values._IN_QUOTES": "match",
    "selfhealing.evidence.secret_values._SCHEME": "match",
    "selfhealing.evidence.secret_values._TO_LINE_END": "match",
    "selfhealing.health.fault_origin._MISSING_FILE_KEY": "search",
    "selfhealing.health.fault_origin._MISSING_KEY": "search",
    "selfhealing.health.fault_origin._MISSING_OBJECT": "search",
    "selfhealing.health.fault_origin._ORIGINS": "search",
    "selfhealing.health.fault_origin._PULL": "search",
    "selfhealing.health.fault_origin._VOLUME": "search",
    "selfhealing.health.messages._FAILED_SETUP": "match",
    "selfhealing.health.messages._MISSING_CONFIG": "search",
    "selfhealing.health.messages._OWN_LIMIT": "match",
    "selfhealing.health.messages._NO_AFFINITY_MATCH": "search",
    "selfhealing.health.messages._PULL_SECRETS": "match",
    "selfhealing.health.messages._UNMOUNTED": "match",
    "selfhealing.health.messages._BACKOFF_PREFIX": "sub",
    "selfhealing.health.messages._FORBIDDEN_PREFIX": "sub",
    "selfhealing.health.messages._NODES_PREFIX": "sub",
    "selfhealing.health.messages._PULL_CAUSES": "search",
    "selfhealing.health.messages._QUOTED": "sub",
    "selfhealing.health.messages._START_PREFIX": "sub",
    "selfhealing.kube.json_fields._EVENT": "match",
    "selfhealing.kube.json_fields._IDENTITY": "match",
    "selfhealing.plugin.view.timeline._RESTARTED_POD": "match",
    "selfhealing.remediation.record_check._DIGEST": "fullmatch",
    "selfhealing.remediation.record_check._OBJECT_NAME": "fullmatch",
    "selfhealing.remediation.record_check._REVISION": "fullmatch",
    "selfhealing.status.conditions._REASON_PATTERN": "match",
    "selfhealing.importer.ports._PORT_NAME": "search",
    "selfhealing.importer.run._APP_NAME": "search",
}
"""Every variable of a module that holds patterns, and how they are used: ``sub`` stands for all
matches of a text. A new one is measured as soon as it is here."""

FUNCTIONS: Final[Mapping[str, Callable[[str], object]]] = {
    "clean_text": clean_text,
    "strip_control_characters": strip_control_characters,
    "is_secret_name": is_secret_name,
    "mask_blocks": mask_blocks,
    "redact": redact,
    "redact with known values": lambda text: redact(text, ("hunter2", "key", "x")),
    "redact_message": redact_message,
    "pull_cause": messages.pull_cause,
    "classify_fault": lambda text: classify_fault(DiagnosisType.START_FAILING, text),
    "start_cause": messages.start_cause,
    "scheduling_cause": messages.scheduling_cause,
    "refusal_cause": messages.refusal_cause,
    "strip_pod_names": lambda text: messages.strip_pod_names(text, "web"),
    "shorten": messages.shorten,
    "sync_error": lambda text: sync_error("Job", InvalidError(422, "Invalid", text)),
}
"""What the operator does with text from outside."""

MAX_RATIO: Final = 3.0
"""Twice the text takes twice the time, and noise. In quadratic time it takes four times as much."""
LENGTH: Final = 4 * 1024
"""Characters of the shorter text."""
NOTICEABLE: Final = 0.01
"""Seconds. 8 Ki characters that take less have not taken a quadratic number of steps, which is 67
million."""
RUNS: Final = 5

Measured = Callable[[str], object]


def find_patterns() -> dict[str, list[AnyPattern]]:
    """By module and variable, the patterns of all modules that ship."""
    found = {}
    for module_info in pkgutil.walk_packages(selfhealing.__path__, "selfhealing."):
        if module_info.name.startswith(DEVELOPER_TOOLS) or module_info.name.endswith("__main__"):
            continue
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            patterns = list(_patterns_in(value))
            is_imported = getattr(importlib.import_module(module.__name__), name) is None
            if patterns and not is_imported and _is_defined_in(module.__file__ or "", name):
                found[f"{module.__name__}.{name}"] = patterns
    return found


def _is_defined_in(file: str, name: str) -> bool:
    return re.search(rf"(?m)^{name}\b.*=", Path(file).read_text()) is not None


def _patterns_in(value: object) -> Iterator[AnyPattern]:
    if isinstance(value, PATTERN_TYPES):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _patterns_in(key)
            yield from _patterns_in(item)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _patterns_in(item)


ALL_PATTERNS: Final = find_patterns()
CASES: Final = [
    pytest.param(pattern, PATTERNS.get(name, "sub"), id=f"{name.rpartition('.')[2]}-{index}")
    for name, patterns in ALL_PATTERNS.items()
    for index, pattern in enumerate(patterns)
]

UNITS: Final = (
    " ", "\t", "a", "A", "1", "é", "🔥", '"', "'", "\\", '\\"', "\n", "-", "=", ":", "<", "{", "[",
    "aA1", "a.", "a=", "a: ", "key\t", "keykey", "key=\t", "password", "password=", "password: ",
    "password:\n  ", "password=x ", 'password="', "token: \t", "://a:b", "://a:1/@", "://a:b@",
    "a:a@", "a/a@", "--a", "--key ", "eyJ", "eyJa.", "authorization: ", "bearer ", "cookie: ",
    "basic ", "<a ", "<key>", "<key a=", "name: key\n", "name=key value=", "value: x name: ",
    "secret:{", "secret: {a ", "curl -", "mysql -", "x\n", "kind: Secret\n",
    'kind: Secret "data":{',
    "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "PRIVATE KEY", "\x1b[", "\x1b]",
    "_SERVICE_PORT_", ": Invalid value: ", ": field is immutable", "create failed: ",
    'ReplicaSet "',
    "web-", "web-a-", "web-abc-abcde", "- ", "- a:\n", "ghp_", "a-----", "$2b$",
    "token是", "password is ", "mysql -p1", " -p1", "password '", "apikey:`",
    "authorization:digest ",
)  # fmt: skip


def hostile_texts(length: int, literals: tuple[str, ...] = ()) -> Iterator[str]:
    """Texts of ``length`` characters on which patterns go back: nearly a match, again and again."""
    for unit in (*UNITS, *literals):
        yield unit * (length // len(unit)) + "!"
    for start in ("key", "password", "secret", "name: key", "://", "<key", *literals):
        for unit in (" ", "\t", "a", '"', "\\", "1"):
            yield start + unit * (length - len(start) - 1) + "x"


def literals_of(pattern: AnyPattern) -> tuple[str, ...]:
    """Words of a pattern's source, from which texts are made that nearly match it."""
    return tuple(dict.fromkeys(re.findall(r"[A-Za-z][A-Za-z_-]{2,}[ :=]?", pattern.pattern)))[:20]


def cpu_time(function: Measured, text: str) -> float:
    """Processor seconds of one call."""
    started = process_time()
    function(text)
    return process_time() - started


def check_linear(function: Measured, shorter: str, longer: str) -> None:
    """Compare the times of two texts, the second twice as long as the first."""
    ratio = 0.0
    for runs in (1, 2, RUNS, RUNS):
        least_longer = min(cpu_time(function, longer) for _ in range(runs))
        if least_longer < NOTICEABLE:
            return
        least_shorter = min(cpu_time(function, shorter) for _ in range(2 * runs))
        ratio = least_longer / max(least_shorter, NOTICEABLE / 4)
        if ratio < MAX_RATIO:
            return

    assert ratio < MAX_RATIO, f"{shorter[:40]!r}… takes {ratio:.1f} times as long when doubled"


def test_every_pattern_is_listed() -> None:
    """A pattern that is added is added to the list, too, and so to the tests below."""
    assert set(PATTERNS) == set(ALL_PATTERNS)


def test_patterns_are_compiled_in_variables_of_modules() -> None:
    """Otherwise they would not be found. One depends on the name of an app."""
    uses = {
        f"{path.name}: {line.strip()}"
        for path in Path(selfhealing.__path__[0]).rglob("*.py")
        if "crdgen" not in path.parts
        for line in path.read_text().splitlines()
        if re.search(r"\bre2?\.(sub|subn|search|match|fullmatch|split|findall|finditer)\(", line)
        or re.search(r"^ .*\b(re2?\.compile|compile_pattern)\(", line)
        if "_GENERATED_SUFFIX" not in line
    }

    assert {
        line for line in uses if not re.search(r"compile(_pattern)?\($|compile_pattern\(r", line)
    } == {
        "messages.py: compile_pattern(pattern): cause",
        'fault_origin.py: compile_pattern(f"(?i){pattern}"): origin',
        "probes.py: compile_pattern(pattern): kind",
        'linear_regex.py: return cast("Pattern", re2.compile(pattern, options))',
    }


@pytest.mark.parametrize(("pattern", "use"), CASES)
def test_a_pattern_takes_linear_time(pattern: AnyPattern, use: str) -> None:
    """In the way in which it is used."""
    function: Measured = (
        (lambda text: pattern.sub("", text)) if use == "sub" else getattr(pattern, use)
    )
    literals = literals_of(pattern)
    texts = zip(hostile_texts(LENGTH, literals), hostile_texts(2 * LENGTH, literals), strict=True)
    for shorter, longer in texts:
        check_linear(function, shorter, longer)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_takes_linear_time(function: str) -> None:
    """With all that it does between its patterns."""
    texts = zip(hostile_texts(LENGTH), hostile_texts(2 * LENGTH), strict=True)
    for shorter, longer in texts:
        check_linear(FUNCTIONS[function], shorter, longer)
