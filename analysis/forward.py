"""The English tagger's network in numpy: the same weights and the same tags as spaCy's, at a multiple of its speed.

What depends on a word alone (its vector, and its products with the first window layer) is computed once and kept in
tables; what is left per token is one window layer and the output layer. Scores differ from spaCy's by float32
rounding, up to about 1e-5 (its products add up in another order); of equal scores both take the first label.

A text's tags do not depend on the texts beside it: every matrix product is made of tiles of one fixed shape, so a BLAS
library has no occasion to choose another routine, and everything else works row by row. The tiles are also too small
for OpenBLAS to start threads (it does so above 2^18 multiplications). Leaves out words and texts (english.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

#: Rows of a tile. TILE * 192 * 64 multiplications are one product.
TILE = 16
#: Rows worked on together: what they need stays in a processor's own cache.
BLOCK = 16 * TILE
#: Words whose vectors thinc computes at once, always so many. A multiple of TILE.
EMBEDDED = 4 * TILE
#: A text is framed by zero vectors that the layers work on as well: as many as there are window layers.
FRAME = 2
#: The word type that stands for such a zero vector.
BLANK = 0
_EPSILON = np.float32(1e-8)


class _Maxout:
    """A window layer: maxout over pieces of products with three neighbours, normalised, added to the middle one."""

    def __init__(self, maxout: Any, norm: Any) -> None:
        weights, bias = maxout.get_param("W"), maxout.get_param("b")
        self.width, self.pieces, window = weights.shape
        #: Pieces x window x width, so that the largest piece is found by comparing whole arrays.
        self.weights = np.ascontiguousarray(weights.transpose(1, 2, 0))[:, None].astype(np.float32)
        self.bias = np.ascontiguousarray(bias.T)
        self._gain, self._shift = norm.get_param("G"), norm.get_param("b")
        if window != 3 * self.width:
            raise ValueError(f"a window of {window} values is not three words of {self.width}")

    def finish(self, best: Floats, middle: Floats) -> Floats:
        """Normalises the rows of `best` in place and adds `middle`."""
        best -= best.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", best, best)
        variance /= np.float32(self.width)
        variance += _EPSILON
        best *= (np.float32(1) / np.sqrt(variance))[:, None]
        best *= self._gain
        best += self._shift
        best += middle
        return best


class Forward:
    """The trained `tagger` of a spaCy pipeline with a LexiconEmbed and two window layers. Not safe under threads.

    Word types are numbered from 1 in the order of `add`. One takes 2,560 bytes.
    """

    def __init__(self, tagger: Any) -> None:
        model = tagger.model
        tok2vec = model.get_ref("tok2vec")
        self.labels: tuple[str, ...] = tuple(tagger.labels)
        self._embed = tok2vec.get_ref("embed").get_ref("types")
        nodes = list(tok2vec.get_ref("encode").walk())
        maxouts, norms = ([node for node in nodes if node.name == name] for name in ("maxout", "layernorm"))
        if len(maxouts) != FRAME:
            raise ValueError(f"{FRAME} window layers are needed, not {len(maxouts)}")
        self._first, self._second = (_Maxout(*pair) for pair in zip(maxouts, norms, strict=True))
        self._width, pieces = self._first.width, self._first.pieces
        self._columns = self._width * pieces
        # The neighbours' share of the first layer, each a matrix of width x (pieces * width).
        by_side = self._first.weights[:, 0].reshape(pieces, 3, self._width, self._width).transpose(1, 2, 0, 3)
        self._sides = np.ascontiguousarray(by_side).reshape(3, 1, self._width, self._columns)
        output = model.get_ref("output_layer")
        self._output = np.ascontiguousarray(output.get_param("W").T)
        self._output_bias = output.get_param("b")
        self._allocate_block()
        self._left = np.zeros((BLOCK, self._columns), np.float32)
        self._right = np.zeros_like(self._left)
        # The middle one with the bias, and behind it the word's own vector.
        self._middle = np.zeros((BLOCK, self._columns + self._width), np.float32)
        self._middle[BLANK, : self._columns] = self._first.bias.reshape(-1)
        self.types = 1

    def clear(self) -> None:
        """Forgets all word types; the tables keep their size."""
        self.types = 1

    def add(self, features: NDArray[np.uint64]) -> None:
        """Adds word types, one row of features each."""
        self._make_room(self.types + len(features))
        block = np.zeros((EMBEDDED, features.shape[-1]), np.uint64)
        for start in range(0, len(features), EMBEDDED):
            part = features[start : start + EMBEDDED]
            rows = len(part)
            block[:rows] = part
            vectors = self._embed.predict(block)
            products = np.matmul(vectors.reshape(-1, TILE, self._width), self._sides).reshape(3, EMBEDDED, -1)
            here = slice(self.types, self.types + rows)
            self._left[here], self._right[here] = products[0, :rows], products[2, :rows]
            np.add(products[1, :rows], self._first.bias.reshape(-1), out=self._middle[here, : self._columns])
            self._middle[here, self._columns :] = vectors[:rows]
            self.types += rows

    def _make_room(self, types: int) -> None:
        have = len(self._left)
        if types > have:
            size = max(types, 2 * have)
            for name in ("_left", "_middle", "_right"):
                table = getattr(self, name)
                larger = np.empty((size, table.shape[1]), np.float32)
                larger[:have] = table
                setattr(self, name, larger)

    def best(self, types: Ints) -> Ints:
        """For each word type of a sequence, the index in `labels` of the best score; see `scores`."""
        return np.concatenate([block.argmax(axis=1) for block in self._scores(types)] or [np.zeros(0, np.intp)])

    def scores(self, types: Ints) -> Floats:
        """Scores before softmax, one row for each word type of a sequence.

        Texts stand in it one after another, with FRAME times BLANK before, between and after them. The rows of BLANK
        mean nothing.
        """
        return np.concatenate(
            [block.copy() for block in self._scores(types)] or [np.zeros((0, len(self.labels)), np.float32)]
        )

    def _scores(self, types: Ints) -> Any:
        """The scores block by block; the next block overwrites the last."""
        rows = len(types)
        if not rows:
            return
        # One row more on either side, so that every row has neighbours, and whole tiles.
        padded = np.zeros(-(-rows // TILE) * TILE + 4, np.intp)
        padded[2 : rows + 2] = types
        hidden = np.empty((len(padded) - 2, self._width), np.float32)
        for start in range(0, len(hidden), BLOCK):
            end = min(start + BLOCK, len(hidden))
            self._first_layer(padded, start, end, hidden)
        windows = np.lib.stride_tricks.sliding_window_view(hidden.reshape(-1), 3 * self._width)[:: self._width]
        for start in range(0, len(padded) - 4, BLOCK):
            end = min(start + BLOCK, len(padded) - 4)
            yield self._second_layer(windows[start:end], hidden[start + 1 : end + 1])[: rows - start]

    def _first_layer(self, padded: Ints, start: int, end: int, hidden: Floats) -> None:
        rows = end - start
        products, side = self._gathered[:rows], self._side[:rows]
        # mode: without "clip", take() makes a copy of its output.
        np.take(self._middle, padded[start + 1 : end + 1], axis=0, out=products, mode="clip")
        total = products[:, : self._columns]
        total += np.take(self._left, padded[start:end], axis=0, out=side, mode="clip")
        total += np.take(self._right, padded[start + 2 : end + 2], axis=0, out=side, mode="clip")
        best = hidden[start:end]
        pieces = [total[:, at : at + self._width] for at in range(0, self._columns, self._width)]
        np.maximum(pieces[0], pieces[1], out=best)
        for piece in pieces[2:]:
            np.maximum(best, piece, out=best)
        self._first.finish(best, products[:, self._columns :])

    def _second_layer(self, windows: Floats, middle: Floats) -> Floats:
        rows = len(middle)
        tiles = rows // TILE
        self._windows[:rows] = windows
        tiled = self._windows[:rows].reshape(tiles, TILE, -1)
        products = np.matmul(tiled, self._second.weights, out=self._products[:, :tiles])
        products += self._second.bias[:, None, None, :]
        best = np.maximum.reduce(products, axis=0, out=self._best[:tiles]).reshape(rows, self._width)
        self._second.finish(best, middle)
        scores = np.matmul(self._best[:tiles], self._output, out=self._scored[:tiles])
        scores += self._output_bias
        return scores.reshape(rows, -1)

    def _allocate_block(self) -> None:
        tiles = BLOCK // TILE
        self._gathered = np.empty((BLOCK, self._columns + self._width), np.float32)
        self._side = np.empty((BLOCK, self._columns), np.float32)
        self._windows = np.empty((BLOCK, 3 * self._width), np.float32)
        self._products = np.empty((self._second.pieces, tiles, TILE, self._width), np.float32)
        self._best = np.empty((tiles, TILE, self._width), np.float32)
        self._scored = np.empty((tiles, TILE, len(self.labels)), np.float32)
