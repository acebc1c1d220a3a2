"""What is no word and so no noun, and how a noun is folded before it is counted. Plain Python; knows no tagger.

URLs, e-mail addresses, handles, file names, HTML tags and control characters are blanked before tagging, by as many
spaces as they had characters, so that character offsets stay true. Every rule here is linear in the text's length.
"""

from __future__ import annotations

import re
import unicodedata

#: Control characters except tab and newline, and lone surrogates (half of a broken pair; no UTF-8 can hold them).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_MARKUP = re.compile(r"</?[A-Za-z!][^<>]{0,1000}>|&(?:[A-Za-z]{2,8}|#[0-9]{1,6});")
_TOKEN = re.compile(r"\S+")
#: A longer run without a space is text only where it is made of letters (Chinese, Japanese); else it is blanked:
#: spaCy's tokeniser takes time quadratic in a run of signs.
_LONGEST_TOKEN = 500
_TEXT_SHARE = 0.8
_SUSPICIOUS = frozenset("@.:_|/\\")
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*://|www\.)\S+", re.IGNORECASE)
# Country domains that are words too (it, in, us, de) are left out: "a dog.It runs" is a missing space.
_DOMAIN = re.compile(
    r"\W*(?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|info|biz|uk|fr|ru|jp|kr|cn|eu|pl)"
    r"(?:[/?#:]\S*)?\W*",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"\W*[\w.+-]+@[\w-]+(?:\.[\w-]+)+\W*")
_HANDLE = re.compile(r"\W*@\w+\W*")
_FILE = re.compile(
    r".*\w\.(?:jpe?g|png|gif|bmp|webp|tiff?|svg|heic|psd|raw|cr2|nef|pdf|docx?|xlsx?|pptx?|txt|csv|json|html?|php|aspx?"
    r"|mp[34]|mov|avi|zip|rar)\W*",
    re.IGNORECASE,
)
_CAMERA_FILE = re.compile(r"\W*(?:img|dsc[nf]?|pict|image|photo|screenshot)[_-]?[0-9]{3,}\w*\W*", re.IGNORECASE)
#: Signs that glue words together in alt text and that taggers' tokenisers leave in one piece.
_GLUE = re.compile(r"[|_]")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def clean(text: str) -> str:
    """The text at the same length, with whatever can be no word blanked."""
    text = printable(text)
    if "<" in text or "&" in text:
        text = _MARKUP.sub(_blank, text)
    return _TOKEN.sub(_clean_token, text)


def needs_cleaning(text: str) -> bool:
    """Whether `clean` has more to do than to look at each token by itself."""
    return "<" in text or "&" in text or not (text.isprintable() or _UNPRINTABLE.search(text) is None)


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


def _clean_token(match: re.Match[str]) -> str:
    token = match[0]
    if len(token) > _LONGEST_TOKEN:
        return token if sum(map(str.isalpha, token)) > _TEXT_SHARE * len(token) else " " * len(token)
    if _SUSPICIOUS.isdisjoint(token) and not token[-1:].isdigit():
        return token
    if _is_no_word(token):
        return " " * len(token)
    return _GLUE.sub(" ", token)


def _is_no_word(token: str) -> bool:
    return bool(
        _URL.search(token)
        or ("@" in token and (_EMAIL.fullmatch(token) or _HANDLE.fullmatch(token)))
        or ("." in token and (_DOMAIN.fullmatch(token) or _FILE.fullmatch(token)))
        or _CAMERA_FILE.fullmatch(token)
    )


def is_noun_form(surface: str) -> bool:
    """Whether a token that a tagger calls a noun is a word: more letters than digits, and no lone Latin letter."""
    if surface.isalpha():
        return len(surface) > 1 or not surface.isascii()
    letters = sum(sign.isalpha() for sign in surface)
    if letters <= sum(sign.isdigit() for sign in surface):
        return False
    return letters > 1 or not surface.isascii()


def fold(surface: str) -> str:
    """The form under which a noun is counted: NFC, lower case, without punctuation at its edges."""
    if surface.isalpha() and surface.isascii():
        return surface.lower()
    return _EDGES.sub("", unicodedata.normalize("NFC", unicodedata.normalize("NFC", surface).lower()))


def as_written(surface: str) -> str:
    """The form of a noun that is not folded: NFC, without punctuation at its edges, in the case it was written in."""
    if surface.isalpha() and surface.isascii():
        return surface
    return _EDGES.sub("", unicodedata.normalize("NFC", surface))


def printable(text: str) -> str:
    """The text at the same length, with a space for every sign that no terminal and no UTF-8 file takes."""
    return _UNPRINTABLE.sub(" ", text)


def count_words(text: str) -> int:
    """Runs of letters and digits; an apostrophe or hyphen inside joins (`don't`, `close-up` are one word each)."""
    return len(_WORD.findall(text))
