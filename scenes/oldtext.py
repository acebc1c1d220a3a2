"""Bad old text, as the web has it beside pictures: what captioning replaces, and what density is measured against.

Eleven kinds, drawn by weight. Some say a little that is true, one says what is false, most say nothing. Leaves out
true captions (captions.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from scenes.captions import brief, dense
from scenes.graph import Scene, Thing, sample_scene
from scenes.vocabulary import BACKGROUND_PLACES, plural

_CAMERAS: Final = ("IMG_", "DSC", "DSC_", "DSCN", "P", "PICT", "Screenshot_", "image", "photo-", "scan")
_ENDINGS: Final = (".jpg", ".JPG", ".jpeg", ".png", ".webp", "_final.jpg", "-1024x768.jpg", " (1).png", "_v2_final.psd")
_SHOP_FRONT: Final = (
    "NEW!",
    "HOT SALE",
    "Best seller:",
    "Genuine",
    "Set of 2",
    "Vintage",
    "Free shipping -",
    "Lot 14:",
)
_SHOP_BACK: Final = (
    "wall art print, 30x40 cm",
    "kids room decor | free returns",
    "sticker pack - ships in 24h",
    "T-shirt, sizes S-XXL",
    "phone case for all models",
    "canvas poster (unframed)",
    "mug 330 ml, dishwasher safe",
    "gift card incl. envelope",
)
_SEO: Final = (
    "stock photo",
    "royalty free",
    "download",
    "HD wallpaper",
    "4k",
    "vector",
    "clip art",
    "best 2024",
    "cheap",
    "buy online",
    "near me",
    "free",
    "top 10",
    "ideas",
    "inspiration",
    "how to",
    "trending",
    "background",
    "template",
    "aesthetic",
)
_PLACEHOLDERS: Final = (
    "image",
    "alt",
    'alt="image"',
    "photo",
    "untitled",
    "null",
    "undefined",
    "Image may contain: outdoor",
    "placeholder",
    "thumbnail",
    "No description available.",
    "click to enlarge",
    "-",
)
_EMOJI: Final = ("😍", "🔥", "✨", "💯", "❤️", "😂", "🙌", "📷", "🌊", "🎉")
_CHATTER: Final = (
    "can't believe this",
    "mood today",
    "so cute omg",
    "link in bio",
    "weekend vibes",
    "who else??",
    "tag a friend",
    "new post is up",
)
_MARKUP: Final = (
    '<img src="/media/{number}.jpg" alt="">',
    "<p>&nbsp;</p><br/>",
    '<a href="https://example.com/p?id={number}">{noun}</a> &raquo;',
    "&lt;div class=&quot;caption&quot;&gt;{noun}&lt;/div&gt;",
    "{{{{ product.title }}}} | {{{{ shop.name }}}}",
    "https://cdn.example.com/uploads/{number}/{noun}.png?w=640",
    '<span style="font-size:12px">{noun}</span><!-- ad -->',
)
_FOREIGN: Final = (
    "Bild kann vom Original abweichen",
    "Schönes Motiv für Ihr Kinderzimmer, jetzt bestellen",
    "Cliquez ici pour agrandir l'image",
    "Livraison gratuite dès 50 €",
    "Imagen de archivo, todos los derechos reservados",
    "Dibujo para colorear e imprimir gratis",
    "Foto di repertorio",
    "무료 배송 이벤트 진행 중",
    "귀여운 일러스트 모음",
    "画像はイメージです",
    "无水印高清图片下载",
    "Скачать бесплатно без регистрации",
)
_CUTS: Final = ("...", " [...]", "…", "", " - read more")


class OldText(NamedTuple):
    """The text, and the kind it is of (one of `KINDS`)."""

    text: str
    kind: str


def old_text(scene: Scene, rng: np.random.Generator) -> OldText:
    """Bad text for `scene`; the same scene and generator state give the same text."""
    kind = str(rng.choice(KINDS, p=_SHARES))
    return OldText(_WRITERS[kind][1](scene, rng), kind)


def _empty(scene: Scene, rng: np.random.Generator) -> str:
    return ""


def _file_name(scene: Scene, rng: np.random.Generator) -> str:
    if rng.random() < 0.25:
        thing = _thing(scene, rng)
        return f"{thing.colour}_{thing.noun}{_pick(rng, _ENDINGS)}"
    return f"{_pick(rng, _CAMERAS)}{int(rng.integers(1, 10_000)):04d}{_pick(rng, _ENDINGS)}"


def _shop_title(scene: Scene, rng: np.random.Generator) -> str:
    thing = _thing(scene, rng)
    return f"{_pick(rng, _SHOP_FRONT)} {thing.colour.title()} {thing.noun.title()} - {_pick(rng, _SHOP_BACK)}"


def _search_words(scene: Scene, rng: np.random.Generator) -> str:
    noun = _thing(scene, rng).noun
    words = [_SEO[int(i)] for i in rng.permutation(len(_SEO))[: int(rng.integers(3, 8))]]
    glue = _pick(rng, (", ", " | ", " "))
    return glue.join([noun, *words, plural(noun)] if rng.random() < 0.6 else words)


def _wrong_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A fluent caption of another scene: the worst kind, for nothing in the text gives it away."""
    while True:
        other = brief(sample_scene(rng))
        if other != brief(scene):
            return other


def _half_sentence(scene: Scene, rng: np.random.Generator) -> str:
    """A caption cut off, mid-word at times, as search results and database columns do."""
    whole = brief(scene) if rng.random() < 0.7 else dense(scene)
    return whole[: int(rng.integers(8, max(12, min(len(whole) - 3, 70))))].rstrip(" ,.:") + _pick(rng, _CUTS)


def _part_caption(scene: Scene, rng: np.random.Generator) -> str:
    """True but poor: one thing of many, or only the place."""
    noun = _thing(scene, rng).noun
    place = BACKGROUND_PLACES[scene.background]
    return _pick(rng, (noun, f"my {noun}", f"the {noun} {place}", place, f"{noun} pic", f"{plural(noun)} {place}!!"))


def _placeholder(scene: Scene, rng: np.random.Generator) -> str:
    return _pick(rng, _PLACEHOLDERS)


def _chatter(scene: Scene, rng: np.random.Generator) -> str:
    signs = "".join(_pick(rng, _EMOJI) for _ in range(int(rng.integers(1, 5))))
    if rng.random() < 0.3:
        return signs
    tag = f" #{_thing(scene, rng).noun} #nofilter" if rng.random() < 0.4 else ""
    return f"{_pick(rng, _CHATTER)} {signs}{tag}"


def _leftover(scene: Scene, rng: np.random.Generator) -> str:
    return _pick(rng, _MARKUP).format(number=int(rng.integers(1000, 1_000_000)), noun=_thing(scene, rng).noun)


def _foreign(scene: Scene, rng: np.random.Generator) -> str:
    return _pick(rng, _FOREIGN)


def _thing(scene: Scene, rng: np.random.Generator) -> Thing:
    return scene.things[int(rng.integers(len(scene.things)))]


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


#: Kind -> weight in percent, writer.
_WRITERS: Final[dict[str, tuple[int, Callable[[Scene, np.random.Generator], str]]]] = {
    "empty": (6, _empty),
    "file_name": (16, _file_name),
    "shop_title": (15, _shop_title),
    "search_words": (13, _search_words),
    "wrong_caption": (10, _wrong_caption),
    "half_sentence": (9, _half_sentence),
    "part_caption": (11, _part_caption),
    "placeholder": (7, _placeholder),
    "chatter": (5, _chatter),
    "markup": (4, _leftover),
    "other_language": (4, _foreign),
}
KINDS: Final[tuple[str, ...]] = tuple(_WRITERS)
_SHARES: Final = [weight / 100 for weight, _ in _WRITERS.values()]
