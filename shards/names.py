"""Names: how a tar member's name splits into key and extension, and which names Densify takes at all.

The rule is WebDataset's own: the key ends at the first dot after the last '/', the rest is the extension, in lower
case. Names stay as they are otherwise: no Unicode normalisation (NFC and NFD are two keys), no folding of the key's
case. Leaves out: what a sample is (shards/reader.py). Serves every room that takes a name from outside.
"""

from __future__ import annotations

import itertools
import re

import braceexpand

from core.errors import BadFieldError, BadNameError

#: Extensions that make a member the sample's image. What the bytes are is decided by their content, not by these.
IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")

#: Extensions whose usual reader runs code from the data (pickle and what is built on it). Never decoded by Densify,
#: and left out of captioned shards, because WebDataset's default decoders would unpickle them.
PICKLE_EXTENSIONS = frozenset({"pyd", "pickle", "pkl", "pt", "pth", "ckpt", "joblib", "dill", "cloudpickle", "p"})

#: Longest member name, in bytes of UTF-8.
MAX_NAME_BYTES = 1024

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_RESERVED = re.compile(r"__[^/]*__($|/)")
_MAX_URL = 4096
_NESTED_BRACES = re.compile(r"\{[^{}]*\{")
_RANGE = re.compile(r"\{([+-]?\d+)\.\.([+-]?\d+)(?:\.\.[+-]?(\d+))?\}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class NameRejected(Exception):
    """A member name that makes no sample: `reason` is one of core/reasons.py, `sentence` says what is wrong."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


def split_member(name: str) -> tuple[str, str]:
    """`'a/img.v2.JPG'` → `('a/img', 'v2.jpg')`. Raises NameRejected (unsafe_name or bad_name)."""
    _check_safe(name)
    folder_end = name.rfind("/") + 1
    dot = name.find(".", folder_end)
    if dot <= folder_end or dot == len(name) - 1:
        what = "begins with a dot" if dot == folder_end else "has no extension"
        raise NameRejected("bad_name", f"The member {show(name)} {what}: it belongs to no sample.")
    extension = name[dot + 1 :].lower()
    if name.startswith("__") and _RESERVED.match(name):
        raise NameRejected("bad_name", f"The member {show(name)} is WebDataset's own metadata: readers pass it over.")
    if extension.startswith("__"):
        raise NameRejected("bad_name", f"The extension of {show(name)} is a field that WebDataset keeps for itself.")
    return name[:dot], extension


def _check_safe(name: str) -> None:
    if _CONTROL.search(name):
        raise NameRejected("unsafe_name", f"The member name {show(name)} has a control character.")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise NameRejected("unsafe_name", f"The member name {show(name)} is not UTF-8.") from None
    if length > MAX_NAME_BYTES:
        raise NameRejected("unsafe_name", f"A member name has {length} bytes, over {MAX_NAME_BYTES}: {show(name)}.")
    if name.startswith("/"):
        raise NameRejected("unsafe_name", f"The member name {show(name)} is absolute.")
    if ".." in name and ".." in re.split(r"[/\\]", name):
        raise NameRejected("unsafe_name", f"The member name {show(name)} has a '..' part.")


def show(name: str, longest: int = 120) -> str:
    """A name as it may stand in a sentence: quoted, escaped where it is not printable, cut where it is long."""
    text = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name)
    return f"'{text}'" if len(text) <= longest else f"'{text[:longest]}…'"


def is_pickle(extension: str) -> bool:
    """True where a usual reader of this extension unpickles: the last part counts, a trailing `.gz` does not."""
    return extension.removesuffix(".gz").rpartition(".")[2] in PICKLE_EXTENSIONS


def check_shard_name(name: str) -> str:
    """The name of a shard inside a data set, without `.tar`. Returns it; raises BadNameError."""
    return _check_plain(name, "shard")


def check_dataset_name(name: str) -> str:
    """The name of a data set. Returns it; raises BadNameError."""
    return _check_plain(name, "data set")


def _check_plain(name: str, what: str) -> str:
    if not _PLAIN_NAME.fullmatch(name):
        raise BadNameError(f"{show(name)} is no name for a {what}.")
    return name


def expand_braces(url: str, limit: int = 10_000) -> list[str]:
    """`'s3://b/train-{000..099}.tar'` → 100 URLs. Braces do not nest.

    Raises BadFieldError on unbalanced or nested braces, a URL over 4,096 characters, or more than `limit` URLs.
    """
    _check_braces(url, limit)
    try:
        expanded = list(itertools.islice(braceexpand.braceexpand(url), limit + 1))
    except ValueError as error:
        raise BadFieldError(f"The braces of {show(url)} cannot be expanded: {error}.") from error
    if len(expanded) > limit:
        raise _too_many(url, limit)
    return expanded


def _check_braces(url: str, limit: int) -> None:
    # braceexpand writes out every range before it yields the first URL: `{0..9999999999}` would fill the memory.
    if len(url) > _MAX_URL:
        raise BadFieldError(f"A URL has {len(url)} characters, over {_MAX_URL}.")
    if _NESTED_BRACES.search(url):
        raise BadFieldError(f"The braces of {show(url)} are nested.", hint="Write the URLs out, or send several.")
    for first, last, step in _RANGE.findall(url):
        if abs(int(last) - int(first)) // (int(step or 1) or 1) >= limit:
            raise _too_many(url, limit)


def _too_many(url: str, limit: int) -> BadFieldError:
    return BadFieldError(f"{show(url)} stands for more than {limit} URLs.", hint="Send them in several calls.")
