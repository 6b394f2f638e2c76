"""Finds secrets that are known by their form: tokens, URLs, headers, hashes, random text.

The formats of tokens are those that their issuers document. A pattern consumes what it has looked
at, so that many matches in one text take linear time, too.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from selfhealing.api.linear_regex import Pattern, compile_pattern
from selfhealing.evidence.secret_checks import (
    has_all_classes,
    is_authorization,
    is_basic_credential,
    is_cookie,
    is_credential,
    is_random,
)
from selfhealing.evidence.secret_syntax import SCHEMES, SEPARATOR, WORDS


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
            rf"[\w.-]*{WORDS})"
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
            rf"(?i)(?P<kept>authorization{SEPARATOR})"
            rf"(?:digest[ \t][^\n]+|[\"'\[]?{SCHEMES}[ \t]+[^\"'\n]+|[\"']?[^\s\"']{{8,}})"
        ),
        is_authorization,
    ),
    Form(
        "a bearer token outside of that header",
        compile_pattern(r"(?i)(?P<kept>\bbearer[ \t]+)[\w.~+/=-]{8,}"),
        is_credential,
    ),
    Form(
        "Basic credentials outside of that header",
        compile_pattern(r"(?i)(?P<kept>\bbasic[ \t]+)[A-Za-z0-9+/]{6,}={0,2}"),
        is_basic_credential,
    ),
    Form(
        "a cookie, which has a =: it can hold a session",
        compile_pattern(r"(?i)(?P<kept>\b(?:set-)?cookie[\"'\\]*[ \t]*:[ \t]*[\"'\\]*)[^\"'\n]+"),
        is_cookie,
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
        has_all_classes,
    ),
    Form(
        "long base64 that looks random",
        compile_pattern(r"[A-Za-z0-9+/_-]{32,}={0,2}"),
        is_random,
    ),
)
"""From the widest to the narrowest, so that no form splits what an earlier one has masked."""
