"""Patterns of secrets: where the name of a secret stands, and secrets that are known by their form.

A pattern says where something may be a secret; Python functions make the final check, as RE2 has
no lookaround. A pattern must consume what it has looked at, so that many matches in one text take
linear time, too. The formats of tokens are those that their issuers document.
"""

import re
from base64 import b64decode
from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

from selfhealing.api.linear_regex import Pattern, compile_pattern
from selfhealing.evidence.secret_names import parse_words

MASK: Final = "<redacted>"

_WORDS: Final = (
    r"(?:pass|pwd|psw|pw|secret|token|cred|key|auth|sig|sid|session|otp|pat|pin|jwt|salt"
    r"|csrf|xsrf|kennwort|contrase|senha|wachtwoord|l[oö]senord|salasana|has[lł]o|heslo|parola"
    r"|[sş]ifre|пароль|密码|密碼|口令|パスワード|비밀번호|암호)"
)
"""A part of the name of every secret; is_secret_name checks the whole name."""
_NAME: Final = (
    rf"(?:(?:api|access|account|mot|de|private|client|session|encryption|auth)[ ]){{0,2}}"
    rf"[\pL\pN_.-]*{_WORDS}[\pL\pN_.-]*"
)
_QUOTES: Final = r"[\"'\x60\\\])]{0,6}"
_ASSIGNMENT: Final = r"(?::=|=>|={1,2}|:|\x{ff1a}|\x{ff1d}|%3[dDaA]|\\u003[dD])"
"""Chinese and Japanese have a colon and an equals sign of their own."""
_SEPARATOR: Final = rf"{_QUOTES}[ \t]*{_ASSIGNMENT}[ \t]*"
_SCHEMES: Final = r"(?:basic|bearer|digest|token|apikey|hmac|negotiate|ntlm|aws4-hmac-sha256)"


_LONGEST_WORD: Final = 20
_SHORTEST_RANDOM_PART: Final = 10
_SHORTEST_QUOTED: Final = len("''")
_RANDOM_CHANGES: Final = 0.45
"""The least share of neighbours of different classes in a text that counts as random."""
_SCHEME_NAMES: Final = parse_words(
    "basic bearer digest token apikey hmac negotiate ntlm aws4-hmac-sha256"
)


def _has_digit(value: str) -> bool:
    return any(c.isdigit() for c in value)


def _is_no_word(value: str) -> bool:
    """A value in quotes or with something else than letters: not "the password is wrong."."""
    return not value.strip(".,;:!?)").isalpha()


def _is_credential(value: str) -> bool:
    """A value with a digit, or one as long as no word: not "Bearer authentication"."""
    return _has_digit(value) or len(value) >= _LONGEST_WORD


def _is_authorization(value: str) -> bool:
    scheme, _, rest = value.lstrip("\"'[").partition(" ")
    return (bool(rest) and scheme.lower() in _SCHEME_NAMES) or _has_digit(value)


def _is_cookie(value: str) -> bool:
    return "=" in value


def _is_basic_credential(value: str) -> bool:
    """Whether a text is base64 of "user:password" (RFC 7617)."""
    try:
        return b":" in b64decode(value + "=" * (-len(value) % 4), validate=True)
    except ValueError:
        return False


def _is_random(value: str) -> bool:
    """Whether a long text looks like base64 of random bytes, and not like words or a path.

    In base64 about 64 % of all neighbours are of different classes (upper case, lower case, digit);
    in names in camelCase it is a third.
    """
    if not _has_all_classes(value):
        return False
    longest_part = max(value.replace("=", "/").split("/"), key=len)
    if not _has_all_classes(longest_part) or len(longest_part) < _SHORTEST_RANDOM_PART:
        return False
    classes = [_class_of(c) for c in value.rstrip("=")]
    changes = sum(left != right for left, right in pairwise(classes))
    return changes >= _RANDOM_CHANGES * (len(classes) - 1)


def _has_all_classes(value: str) -> bool:
    """Whether a text has letters of both cases and digits."""
    return {0, 1, 2} <= {_class_of(c) for c in value}


def _class_of(character: str) -> int:
    if character.isupper():
        return 0
    if character.islower():
        return 1
    return 2 if character.isdigit() else 3


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
        compile_pattern(rf"(?i)({_NAME}){_SEPARATOR}"),
        takes_line=True,
    ),
    Locator(
        "an option of a command line, separated by a blank or as the next string of a list",
        compile_pattern(
            rf"(?i)(?:^|[\s\"'\[({{,])-{{1,2}}([\w.-]*{_WORDS}[\w.-]*)"
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
            rf"(?i)({_NAME}){_SEPARATOR}\{{[^{{}}\n]*?"
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
        is_secret=_is_no_word,
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
        is_secret=lambda value: not value.isdecimal(),
    ),
    Locator(
        "a password in the syntax of a server: requirepass, AUTH, PASS, pass:",
        compile_pattern(
            r"\b(?:requirepass|masterauth|rootpw|userPassword:?:)[ \t]+"
            r"|(?m:^)(?:AUTH|PASS)[ \t]+|[>\"'][ ]?(?:AUTH|PASS)[ \t]+"
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
        is_secret=lambda value: value[0] in "'\"" and len(value) > _SHORTEST_QUOTED,
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


class Form(NamedTuple):
    """Secrets that are known by their form.

    Attributes:
        description: what is found.
        regex: the form. The groups ``kept`` before the secret and ``tail`` behind it stay.
        is_secret: the check that the pattern cannot make, of the text that would be masked.
    """

    description: str
    regex: Pattern
    is_secret: Callable[[str], bool] | None = None


_PREFIXED_TOKENS: Final = (
    # GitHub, GitLab, Atlassian, Bitbucket
    r"gh[pousr]_[\w-]{16,}|github_pat_[\w-]{16,}|gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)"
    r"-[\w.-]{16,}|AT(?:ATT3|CTT3|BB)[\w=-]{20,}"
    # Slack, Discord, Telegram, Teams
    r"|x(?:ox[abeoprs]|app)-[\w-]{8,}|[MNO][\w-]{23,26}\.[\w-]{6}\.[\w-]{27,}|\d{8,10}:AA[\w-]{33}"
    # packages: npm, PyPI, RubyGems, NuGet, crates.io, Docker Hub
    r"|npm_[\w-]{16,}|pypi-[\w-]{16,}|rubygems_[\w-]{16,}|oy2[a-z0-9]{43}|cio\w{32}|dckr_[po]at_[\w-]{16,}"
    # secrets and clouds: Vault, AWS, Google, Azure, DigitalOcean, Alibaba, Tencent, Cloudflare
    r"|hv[sbr]\.[\w-]{16,}|s\.[A-Za-z0-9]{24}|(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}"
    r"|AIza[\w-]{16,}|ya29\.[\w-]{16,}|GOCSPX-[\w-]{16,}|[\w~.-]{3}8Q~[\w~.-]{31,}"
    r"|do[por]_v1_[a-f0-9]{32,}|LTAI[A-Za-z0-9]{12,}|AKID[A-Za-z0-9]{13,}|v1\.0-[a-f0-9]{24}-\w+"
    # payment and mail: Stripe, Square, Shopify, SendGrid, Mailgun, Mailchimp, Brevo, Twilio
    r"|(?:sk|rk)[_-](?:live|test)[_-][\w-]{10,}|whsec_[\w+/=]{10,}|sq0(?:atp|csp)-[\w-]{16,}"
    r"|shp(?:at|ca|pa|ss)_[\w-]{16,}|SG\.[\w-]{10,}\.[\w-]{10,}|key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}"
    r"|xkeysib-[\w-]{16,}|(?:AC|SK)[0-9a-f]{32}"
    # models: OpenAI, Anthropic, Hugging Face, Groq, Replicate, xAI
    r"|sk-[\w-]{16,}|hf_[\w-]{16,}|gsk_[\w-]{16,}|r8_[\w-]{16,}|xai-[\w-]{16,}|pplx-[\w-]{16,}"
    # observation and delivery: Grafana, Sentry, New Relic, Datadog, Postman, Pulumi, Terraform, …
    r"|gl(?:sa|c)_[\w=+/]{16,}|sntry[su]_[\w=+/-]{16,}|NRAK-[A-Z0-9]{16,}|PMAK-[\w-]{16,}"
    r"|pul-[a-f0-9]{32,}|\w{14}\.atlasv1\.[\w-]{16,}|dp\.(?:pt|st|ct|sa)\.[\w.-]{16,}"
    r"|dapi[a-f0-9]{32}|lin_(?:api|oauth)_[\w-]{16,}|ntn_[\w-]{16,}|secret_\w{32,}|figd_[\w-]{16,}"
    r"|CFPAT-[\w-]{16,}|fo1_[\w-]{16,}|FlyV1[ ][\w-]{8,}|AGE-SECRET-KEY-1[A-Z0-9]{16,}"
    r"|ops_eyJ[\w+/=-]{16,}|tskey-[\w-]{10,}|EAAC\w{20,}|EAAA[\w-]{40,}"
)
FORMS: Final[tuple[Form, ...]] = (
    Form(
        "a value before its name: value: …, name: DB_PASSWORD",
        compile_pattern(
            r"(?i)(?P<kept>\b(?:value|val)[\"'\\]{0,3}[ \t]*[:=][ \t]*)"
            r"(?:\"(?:[^\"\\\n]|\\.)*\"|[^\s\"'<,]+)"
            r"(?P<tail>[\s,;]+[\"'\\]{0,3}(?:name|key)[\"'\\]{0,3}[ \t]*[:=][ \t]*[\"'\\]{0,3}"
            rf"[\w.-]*{_WORDS})"
        ),
    ),
    Form(
        "user and password in a URL, but not a port with an @ somewhere behind it",
        compile_pattern(
            r"(?P<kept>://)[^\s/:@?#\"<>]*:"
            r"(?:\d{0,5}[^\s\"<>\d/?#@][^\s\"<>]*|\d{6}[^\s\"<>]*|\d{1,5})?(?P<tail>@)"
        ),
    ),
    Form(
        "a token as the user of a URL, but not git@",
        compile_pattern(r"(?P<kept>://)[^\s/:@?#\"<>]{16,}(?P<tail>@)"),
    ),
    Form(
        "user and password before an address without a scheme, as Go's drivers write it",
        compile_pattern(
            r"(?P<kept>\b[\w.-]+:)[^\s@\"'<>]+"
            r"(?P<tail>@(?:\w+\(|\[?[\w.:-]+\]?:\d{2,5}\b))"
        ),
        lambda value: not value.startswith("//"),
    ),
    Form(
        "user and password of Oracle: user/password@//host",
        compile_pattern(r"(?P<kept>\b\w+/)[^\s@/\"']+(?P<tail>@//)"),
    ),
    Form(
        "the header Authorization with a scheme or a digit, so that prose does not match",
        compile_pattern(
            rf"(?i)(?P<kept>authorization{_SEPARATOR})"
            rf"(?:digest[ \t][^\n]+|[\"'\[]?{_SCHEMES}[ \t]+[^\"'\n]+|[\"']?[^\s\"']{{8,}})"
        ),
        _is_authorization,
    ),
    Form(
        "a bearer token outside of that header",
        compile_pattern(r"(?i)(?P<kept>\bbearer[ \t]+)[\w.~+/=-]{8,}"),
        _is_credential,
    ),
    Form(
        "Basic credentials outside of that header",
        compile_pattern(r"(?i)(?P<kept>\bbasic[ \t]+)[A-Za-z0-9+/]{6,}={0,2}"),
        _is_basic_credential,
    ),
    Form(
        "a cookie, which has a =: it can hold a session",
        compile_pattern(r"(?i)(?P<kept>\b(?:set-)?cookie[\"'\\]*[ \t]*:[ \t]*[\"'\\]*)[^\"'\n]+"),
        _is_cookie,
    ),
    Form(
        "a JSON Web Token or other base64 of JSON, which begins with eyJ",
        compile_pattern(r"(?P<kept>^|[^\w-])eyJ(?:[\w-]{8,}(?:\.[\w-]*)+|[\w+/-]{16,}={0,2})"),
    ),
    Form(
        "tokens with a prefix that their issuer documents",
        compile_pattern(rf"(?P<kept>^|[^\w-])(?:{_PREFIXED_TOKENS})"),
    ),
    Form(
        "the URL of a webhook, which is its own password",
        compile_pattern(
            r"(?P<kept>\b(?:hooks\.slack\.com/(?:services|workflows|triggers)"
            r"|discord(?:app)?\.com/api/webhooks|[\w.-]+\.webhook\.office\.com"
            r"|api\.telegram\.org|outlook\.office\.com/webhook)/)[^\s\"'<>]+"
        ),
    ),
    Form(
        "a hash of a password: crypt(3), bcrypt, Argon2, Django, LDAP",
        compile_pattern(
            r"(?P<kept>^|[^\w$])(?:\$(?:1|2[abxy]?|5|6|7|y|gy|argon2\w*|scrypt|pbkdf2[\w-]*)\$[\w./$,=+-]{16,}"
            r"|pbkdf2_sha\d+\$\S{16,}|\{S?(?:SHA|MD5|CRYPT)\d*\}[\w+/=]{8,}|SCRAM-SHA-\d+\$\S{16,})"
        ),
    ),
    Form(
        "long hexadecimal digits after the name of a secret, but not digests and paths",
        compile_pattern(
            r"(?i)(?P<kept>(?:key|secret|token|password|credential|session|signature)"
            r"[\"']?[ \t]*(?:[:=\"' \t]|is\b|was\b)[ \t]*[\"'(\[]?)[0-9a-f]{32,}"
            r"(?P<tail>$|[^\w+/-])"
        ),
    ),
    Form(
        "long base64 after the name of a secret",
        compile_pattern(
            r"(?P<kept>(?i:key|secret|token|password|credential|session|signature)"
            r"[\"']?[ \t]*(?:[:=\"' \t]|is\b|was\b)[ \t]*[\"'(\[]?)[\w+/-]{32,}={0,2}"
        ),
        _has_all_classes,
    ),
    Form(
        "long base64 that looks random",
        compile_pattern(r"[A-Za-z0-9+/_-]{32,}={0,2}"),
        _is_random,
    ),
)
"""From the widest to the narrowest, so that no form splits what an earlier one has masked."""

VALUE_IN_QUOTES: Final = re.compile(
    r"\\{1,7}\"(?:[^\\\"\n]|\\[^\"\n])*+(?:\\{1,7}\")?"  # JSON in a string of JSON
    r"|\"(?:[^\"\\\n]|\\.)*+\"?"
    r"|'(?:[^'\\\n]|\\.|'')*+'?"
)
"""A value up to its closing quote, or to the end of the line without one.

The standard library's engine, because it can match at a position of a long text without a copy.
Its quantifiers are possessive, so it never goes back.
"""
VALUE_IN_BRACKETS: Final = re.compile(r"\[[^\]\n]*+\]?|`[^`\n]*+`?")
"""A list, or a value in backquotes; a bare value may begin with these, too."""
VALUE_BARE: Final = re.compile(r"[^\s\"]++")
VALUE_IN_ELEMENT: Final = re.compile(r"[^<\n]++")
VALUE_TO_LINE_END: Final = re.compile(r"[^\n]++")
VALUE_SCHEME: Final = re.compile(rf"{_SCHEMES}[ \t]++(?=\S)", re.IGNORECASE)
VALUE_REST: Final = re.compile(r"[^\s\"',;&)}\]<>/]*+")
"""What directly follows a value in quotes, or a mask."""
BLOCK_INDICATOR: Final = re.compile(r"[|>][+-]?\d?[+-]?[ \t]*+(?:\n|\Z)")
OBJECT: Final = re.compile(r"\{(?:[ \t}]|\\{0,7}[\"']|[\w.-]{1,64}+:[ \t])")
TRIVIAL_VALUE: Final = re.compile(
    r"(?P<quote>[\"'`]?)[(<]?(?P<word>[\w.%-]{1,32}+)(?P<behind>[\"'`]|(?=[\s,;&)}\]>]|\Z))"
)
"""A word up to its closing quote or, without a quote, to a delimiter."""

SHORT_NAMES: Final = frozenset(("auth", "otp", "pass", "pat", "pin", "psw", "pw"))
"""Names that are words of prose, too: in "tests: pass: 12" it is no field."""

TRIVIAL_WORDS: Final = parse_words(
    """
    true false null none nil undefined unset set empty yes no on off ok valid invalid expired
    missing required denied failed unknown accepted rejected changed unauthorized forbidden
    mismatch unexpected cannot could not is was has must the a an in for of to and or with from by
    at error authentication authorization string required. token password secret key bearer basic
    """
)
"""Words of prose behind the name of a secret, which are no secrets."""
