"""Finds secrets among values of settings, and returns texts and documents without them.

One rule for task and driver: a value is secret if its key says so, and so is the part of any text
that has one of these forms:

    jdbc:postgresql://user:PASSWORD@host/shop      https://user:TOKEN@host/repo
    jdbc:oracle:thin:user/PASSWORD@host:1521:shop  jdbc:sqlserver://host;user=u;password={SECRET}
    https://host/c?sig=SECRET&X-Amz-Signature=S    AccountKey=SECRET;EndpointSuffix=...
    -Djavax.net.ssl.keyStorePassword=SECRET        --password SECRET     (address=(password=SECRET))
    Map(user -> me, password -> SECRET)   (spark.x.password,SECRET)   (password: SECRET)
    {"password": "SECRET"}   {'token': 'SECRET'}   <password>SECRET</password>   password: SECRET
    Authorization: Basic SECRET   Bearer SECRET    a token or a private key that shows what it is
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

MASK = "***"

_SHORTEST = 5  # shorter or common values would be found everywhere
_HARMLESS = re.compile(r"(?i:true|false|none|null)|[\d.]{1,7}|([a-z][a-z0-9_]*\.){2,}[A-Z][\w$]*")
_WORKING_FOLDERS = ("PWD", "OLDPWD")  # variables of every shell

# Spark's own rule (spark.redaction.regex), and the keys of the object stores that it leaves out.
_SECRET_KEY = re.compile(
    r"secret|passw|passphrase|passcode|token|credentials?$|bearer|cookie|fernet|authorization"
    r"|(access|account|api|private|encryption|shared|signing|master|ssh)[._-]?key(?!store)"
    r"|[._-]sas[._-]",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset({"pass", "pwd", "pw", "sas", "sig", "signature"})  # as the last word
_COMPACT = re.compile(
    r"(?i)\w{1,20}pwd|(?:db|user|pg|my|sql|admin|root|ssl|key|store|auth|app|svc|proxy|http|ldap)pass"
)

# A text without any of these holds no secret that could be found: nearly every line of a log.
_HINT = re.compile(
    r"://|secret|pass|pwd|pw\b|token|credential|bearer|cookie|fernet|auth|key|sas|sig\b"
    r"|signature|basic|thin:|oci\d?:|gh[a-z]_|github_pat_|glpat-|xox|eyJ|dapi|-u|user",
    re.IGNORECASE,
)
_USER_INFO = re.compile(
    r"://[^\s/:@?#\"'<>]{0,200}:(?!\d{1,5}(?:[/?#,;\s]|$))"
    r"(?P<secret>[^\s/\"<>]{1,4000}(?=@)|[^\s@\"<>]{1,200}(?=@))"
)
_LONE_USER_INFO = re.compile(r"https?://(?P<secret>(?=[^@/]*\d)[\w.~%+-]{16,4000})@", re.IGNORECASE)
_ORACLE = re.compile(
    r"(?::thin|:oci\d?):[^\s/@\"']{0,200}/(?P<secret>\"[^\"]{1,200}\"|[^\s@]{1,200})(?=@)"
)
_HEADER = re.compile(
    r"authorization\\*[\"']?\s{0,3}[:=]\s{0,3}\\*[\"']?"
    r"(?:basic|bearer|digest|apikey|token|negotiate|sharedkey|splunk) +(?P<secret>[^\s\"'\\,;]+)"
    r"|\b(?:bearer|basic|apikey) +(?P<alone>(?=\S*(?:\d|(?-i:[a-z][A-Z])))[\w+/=.~-]{8,})",
    re.IGNORECASE,
)
_USER_FLAG = re.compile(r"(?<!\S)(?:-u|--user)[ =]+[^\s:]{1,200}:(?P<secret>\S+)")
_KNOWN = re.compile(
    r"(?P<secret>\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bxox[abeprs]-[\w-]{10,}"
    r"|\bdapi[0-9a-f]{32}|\beyJ[\w-]{6,}\.[\w-]+\.[\w-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$))"
)
_FORMS = (_USER_INFO, _LONE_USER_INFO, _ORACLE, _HEADER, _USER_FLAG, _KNOWN)

_NAME = re.compile(
    r"(?<![\w.\-])(?P<name>[\w.\-$]{1,200})(?P<quote>\\*[\"'])?"
    r"(?:(?P<equals>\s{0,3}=\s{0,3})|(?P<colon>\s{0,3}:[ \t]{0,3})|(?P<comma>, ?)|(?P<tag>>)"
    r"|(?P<arrow> ?-> ?|\t+))"
)
_FLAG = re.compile(r"(?<!\S)(?P<name>--?[\w.\-]{1,200}) +(?=[^\s-])")
_QUOTED = re.compile(
    r"(?P<open>\\*[\"'])(?P<secret>(?:(?!(?P=open))[^\\]|\\.)*?)(?P=open)", re.DOTALL
)
_CUT_OFF = re.compile(r"\\*[\"'](?P<secret>[^\s\"']+)")
_BRACED = re.compile(r"(?P<secret>\{(?!\{)[^{}\s][^{}]*\})")
_PLAIN = re.compile(r"(?P<secret>[^\s&;\"'<>]+)")
_SCALAR = re.compile(r"(?P<secret>[^\s,)\]}\"']+)")
_LAST_WORD = re.compile(r"(?P<secret>[^\s()\[\]{}\"',]+)[ \t]*$", re.MULTILINE)
_BETWEEN_TAGS = re.compile(r"(?P<secret>[^<>]+)</")
_NO_SECRET = re.compile(
    r"(?i)\**|true|false|none|null|\{\{.*|\{%.*|\$\{[^{}]*\}|\$\w+|%\w+%|<[^<>]*>|%\(\w+\)s|\{\w*\}"
)


def is_secret_key(key: object) -> bool:
    """Return whether the value under a key is a secret.

    >>> is_secret_key("spark.hadoop.fs.s3a.secret.key"), is_secret_key("spark.executor.memory")
    (True, False)
    >>> is_secret_key("spark.es.net.http.auth.pass"), is_secret_key("spark.sql.pass.through")
    (True, False)
    """
    name = str(key)
    if _SECRET_KEY.search(name) is not None:
        return True
    words = _WORD.findall(name)
    return bool(words) and (
        words[-1].lower() in _SECRET_WORDS or _COMPACT.fullmatch(words[-1]) is not None
    )


def spans_of_secrets(text: str) -> list[tuple[int, int]]:
    """Return the positions of the secrets in a text, in order and without overlap."""
    if _HINT.search(text) is None:
        return []
    spans: list[tuple[int, int]] = []
    for start, end in sorted(_spans(text)):
        if _NO_SECRET.fullmatch(text, start, end):
            continue
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans


def secrets_in(text: str) -> Iterator[str]:
    """Yield the secrets in a text, as they are written and as they are meant."""
    for start, end in spans_of_secrets(text):
        secret = text[start:end]
        yield secret
        yield re.split(r"[,)\]}]", secret, maxsplit=1)[0]
        yield secret.strip('{}"')
        yield secret.rpartition(" ")[2]
        yield unquote(secret)
        yield from _password_in_base64(secret)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for form in _FORMS:
        for found in form.finditer(text):
            yield found.span(found.lastgroup or 0)
    done = 0  # a name within a value is part of the secret
    for named in _NAME.finditer(text):
        if named.start() >= done and is_secret_key(named["name"]):
            value = _value(text, named)
            if value is not None:
                done = value.end("secret")
                yield value.span("secret")
    done = 0
    for flag in _FLAG.finditer(text):
        if flag.start() >= done and is_secret_key(flag["name"]):
            value = _QUOTED.match(text, flag.end()) or _PLAIN.match(text, flag.end())
            value = value or _CUT_OFF.match(text, flag.end())
            if value is not None:
                done = value.end("secret")
                yield value.span("secret")


def _value(text: str, named: re.Match[str]) -> re.Match[str] | None:
    """Return the value that follows a name, unless the text is prose or code."""
    found = (pattern.match(text, named.end()) for pattern in _patterns(text, named))
    return next(filter(None, found), None)


def _patterns(text: str, named: re.Match[str]) -> tuple[re.Pattern[str], ...]:
    """Return what a value may look like behind a name and what separates the two."""
    is_key, is_quoted = "." in named["name"], named["quote"] is not None
    is_first = text[named.start() - 1 : named.start()] == "("
    found: tuple[re.Pattern[str], ...] = ()
    if named["comma"] is not None:  # ('spark.x.password', 'value'), or as Scala shows it
        if is_key and (is_quoted or is_first):
            found = (_QUOTED,) if is_quoted else (_SCALAR,)
    elif named["arrow"] is not None:  # Map(user -> me, password -> value)
        found = (_QUOTED, _SCALAR) if is_key or ">" in named["arrow"] else (_QUOTED,)
    elif named["tag"] is not None:
        found = (_QUOTED, _BETWEEN_TAGS)
    elif named["equals"] is not None:
        is_tight = named["equals"] == "="
        found = (_QUOTED, _BRACED, _PLAIN, _CUT_OFF) if is_tight else (_QUOTED, _LAST_WORD)
    elif is_quoted or is_first:
        found = (_QUOTED, _SCALAR, _CUT_OFF)
    else:
        line_start = text.rfind("\n", 0, named.start()) + 1
        starts_line = not text[line_start : named.start()].strip(" \t-")
        found = (_QUOTED, _LAST_WORD) if starts_line else (_QUOTED,)
    return found


def _password_in_base64(secret: str) -> Iterator[str]:
    """Yield the password of ``Basic`` credentials, which a server may echo."""
    try:
        user, found, password = b64decode(secret, validate=True).decode("ascii").partition(":")
    except (Base64Error, ValueError):
        return
    if found and user.isprintable() and password.isprintable():
        yield password


def secret_values(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secret values of settings, however deep, longest first; none twice.

    Values that would be found everywhere (numbers, ``true``, names of Java classes, anything of
    fewer than five characters) are not among them.
    """
    found = {value for value in _secrets(settings, inside=False) if _tells_something(value)}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def without_secrets(text: str, secrets: Sequence[str] = ()) -> str:
    """Return a text with the given secrets, and all that look like one, replaced by ``***``.

    >>> without_secrets("jdbc:x://a:b@h/d?password=hidden&ssl=true")
    'jdbc:x://a:***@h/d?password=***&ssl=true'
    """
    for secret in secrets:
        text = text.replace(secret, MASK)
    for start, end in reversed(spans_of_secrets(text)):
        text = f"{text[:start]}{MASK}{text[end:]}"
    return text


def text_has_secret(text: object) -> bool:
    """Return whether a value is a text in which a secret stands."""
    return isinstance(text, str) and bool(spans_of_secrets(text))


def document_without_secrets(value: Any, secrets: Sequence[str] = ()) -> Any:
    """Return a document to show: every secret value, and every secret in a text, is ``***``.

    >>> document_without_secrets({"conf": {"a.password": "hidden", "b": ["x://u:hidden@h"]}})
    {'conf': {'a.password': '***', 'b': ['x://u:***@h']}}
    """
    if isinstance(value, str):
        return without_secrets(value, secrets)
    if isinstance(value, Mapping):
        return {
            key: MASK
            if is_secret_key(key) and isinstance(item, str) and item
            else document_without_secrets(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [document_without_secrets(item, secrets) for item in value]
    return value


def _secrets(settings: Any, *, inside: bool) -> Iterator[str]:
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key in _WORKING_FOLDERS and str(value).startswith("/"):
                continue
            yield from _secrets(value, inside=inside or is_secret_key(key))
    elif isinstance(settings, Iterable) and not isinstance(settings, str | bytes):
        for item in settings:
            yield from _secrets(item, inside=inside)
    elif settings is not None:
        text = str(settings)
        if inside:
            yield text
        yield from secrets_in(text)


def _tells_something(value: str) -> bool:
    return len(value) >= _SHORTEST and _HARMLESS.fullmatch(value) is None
