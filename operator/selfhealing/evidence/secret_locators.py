"""Finds the places behind which a secret stands, by the name of the secret.

A pattern consumes what it has looked at, so that many matches in one text take linear time, too.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from selfhealing.api.linear_regex import Pattern, compile_pattern
from selfhealing.evidence.secret_checks import is_no_number, is_no_word, is_quoted
from selfhealing.evidence.secret_syntax import NAME, SEPARATOR, WORDS


class Locator(NamedTuple):
    """Finds the places behind which a secret value stands.

    Attributes:
        description: what is found.
        regex: ends where the value begins; its only group is the name of the value, if that
            decides whether the value is a secret.
        takes_line: the value is the rest of the line, if the match begins the line.
        is_element: the value ends where the next tag begins.
        is_secret: the check of the value that the place alone does not decide.
    """

    description: str
    regex: Pattern
    takes_line: bool = False
    is_element: bool = False
    is_secret: Callable[[str], bool] | None = None


LOCATORS: Final[tuple[Locator, ...]] = (
    Locator(
        "a field: name=value, name: value, in any quotes",
        compile_pattern(rf"(?i)({NAME}){SEPARATOR}"),
        takes_line=True,
    ),
    Locator(
        "an option of a command line, separated by a blank or as the next string of a list",
        compile_pattern(
            rf"(?i)(?:^|[\s\"'\[({{,])-{{1,2}}([\w.-]*{WORDS}[\w.-]*)"
            r"[\"'\\]{0,3}(?:[ \t]+|[ \t]*,[ \t]*)"
        ),
    ),
    Locator(
        "a pair of name and value: a variable of a pod, a header, a property",
        compile_pattern(
            r"(?i)\b(?:name|key|id|field|param|parameter|variable|env|header|property)"
            r"[\"'\\]{0,3}[ \t]*[:=][ \t]*[\"'\\]{0,3}([\pL\pN_.-]+)[\"'\\]{0,3}"
            r"[\s,;]*[\"'\\]{0,3}(?:value|val|content|data)[\"'\\]{0,3}[ \t]*[:=][ \t]*"
        ),
        takes_line=True,
    ),
    Locator(
        "a value within braces: secret: {value: …}",
        compile_pattern(
            rf"(?i)({NAME}){SEPARATOR}\{{[^{{}}\n]*?"
            r"\b(?:value|val|plain|plaintext|raw|content|data|current|string|text)"
            r"[\"'\\]{0,3}[ \t]*[:=][ \t]*"
        ),
    ),
    Locator(
        "a sentence: the password is …",
        compile_pattern(
            r"(?i)((?:password|passwd|passphrase|passwort|kennwort|secret|token|api key"
            r"|пароль|密码|密碼))[ \t]*(?:[ \t](?:is|was|ist|lautet|es|est)[ \t:]|是|为|為)[ \t]*"
        ),
        is_secret=is_no_word,
    ),
    Locator(
        "user and password as an option of an HTTP client",
        compile_pattern(
            r"\b(?:curl|wget|https?|xh|git)\b[^\n|;]*?[ \t]"
            r"(?:-u|--user|--proxy-user|-U|-a|--auth)[ \t=]*[\"']?[^\s:\"']+:"
        ),
    ),
    Locator(
        "a password as a short option of a client",
        compile_pattern(
            r"\b(?:mysql\w*|mariadb[\w-]*|mongo\w*|sshpass|smbclient|(?:docker|podman|oras) login"
            r"|helm registry login)\b[^\n|;]*?[ \t]-p[ \t=]*"
            r"|\b(?:mosquitto_\w+|sqlcmd|bcp|isql)\b[^\n|;]*?[ \t]-P[ \t=]*"
            r"|\bldap\w+\b[^\n|;]*?[ \t]-w[ \t=]*"
            r"|\bredis-cli\b[^\n|;]*?[ \t]-a[ \t=]*"
            r"|\bhtpasswd\b[^\n|;]*?[ \t]-\w*b\w*[ \t]+\S+[ \t]+\S+[ \t]+"
            r"|\bkeytool\b[^\n|;]*?[ \t]-(?:store|key)pass[ \t]+"
            r"|\b(?:net use|cmdkey)\b[^\n|;]*?/(?:pass|user:\S+)[: \t]"
        ),
        is_secret=is_no_number,
    ),
    Locator(
        "a password in the syntax of a server: requirepass, AUTH, PASS, pass:",
        compile_pattern(
            r"\b(?:requirepass|masterauth|rootpw|userPassword:?:)[ \t]+"
            r"|(?m:^)(?:AUTH|PASS)[ \t]+|(?:[^d]>|[\"'])[ ]?(?:AUTH|PASS)[ \t]+"
            r"|\b(?:pass|env):"
        ),
    ),
    Locator(
        "a password in SQL",
        compile_pattern(
            r"(?i)\b(?:identified[ \t]+(?:with[ \t]+\S+[ \t]+)?(?:by|as)(?:[ \t]+password)?"
            r"|(?:with|encrypted|set|using)[ \t]+password(?:[ \t]+for[ \t]+\S+)?"
            r"|set[ \t]+password[ \t]+for[ \t]+\S+[ \t]*=(?:[ \t]*password\()?)"
            r"(?:[ \t]*=[ \t]*|[ \t]+)"
        ),
    ),
    Locator(
        "a password in quotes behind the word",
        compile_pattern(r"(?i)\b(?:password|passwd|passphrase)[ \t]+"),
        is_secret=is_quoted,
    ),
    Locator(
        "an XML attribute beside the name of a secret",
        compile_pattern(r"(?i)\b(?:name|key|id)=[\"']([\pL\pN_.: -]+)[\"'][ \t]+value="),
    ),
    Locator(
        "the text of an XML element, whose name or key says that it is secret",
        compile_pattern(
            r"(?i)<(?:[\w-]+:)?(?:[\w.-]+[ \t]+(?:name|key|id)=[\"'])?([\pL\pN_.-]+)"
            r"[\"']?[^<>\n]*>[ \t]*(?:<(?:value|string)>)?"
        ),
        is_element=True,
    ),
)
