"""Checkpoints by their original names, DiT's and PixArt's, to diffusers' classes and back, no key left over.

What is not carried over, since diffusers' classes have no place for it: the table of positions (both compute it) and
PixArt's `y_embedding`, 120 vectors that stand for no caption; its code never trained them (a buffer), and diffusers
draws with the text encoder's answer to "" instead. Attention's query, key and value are one matrix there, three here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch

from core.errors import BadCheckpointError

State = dict[str, torch.Tensor]

#: (original, diffusers) names. `{}`: the number of the block.
_SHARED = (
    ("x_embedder.proj", "pos_embed.proj"),
    ("blocks.{}.attn.proj", "transformer_blocks.{}.attn1.to_out.0"),
    ("blocks.{}.mlp.fc1", "transformer_blocks.{}.ff.net.0.proj"),
    ("blocks.{}.mlp.fc2", "transformer_blocks.{}.ff.net.2"),
)
_PIXART = (
    *_SHARED,
    ("t_embedder.mlp.0", "adaln_single.emb.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "adaln_single.emb.timestep_embedder.linear_2"),
    ("csize_embedder.mlp.0", "adaln_single.emb.resolution_embedder.linear_1"),
    ("csize_embedder.mlp.2", "adaln_single.emb.resolution_embedder.linear_2"),
    ("ar_embedder.mlp.0", "adaln_single.emb.aspect_ratio_embedder.linear_1"),
    ("ar_embedder.mlp.2", "adaln_single.emb.aspect_ratio_embedder.linear_2"),
    ("t_block.1", "adaln_single.linear"),
    ("y_embedder.y_proj.fc1", "caption_projection.linear_1"),
    ("y_embedder.y_proj.fc2", "caption_projection.linear_2"),
    ("blocks.{}.cross_attn.q_linear", "transformer_blocks.{}.attn2.to_q"),
    ("blocks.{}.cross_attn.proj", "transformer_blocks.{}.attn2.to_out.0"),
    ("final_layer.linear", "proj_out"),
)
_DIT = (
    *_SHARED,
    ("blocks.{}.adaLN_modulation.1", "transformer_blocks.{}.norm1.linear"),
    ("final_layer.adaLN_modulation.1", "proj_out_1"),
    ("final_layer.linear", "proj_out_2"),
)
#: Of DiT: one for all blocks there, one in each block here.
_EMBEDDER = (
    ("t_embedder.mlp.0", "timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "timestep_embedder.linear_2"),
    ("y_embedder.embedding_table", "class_embedder.embedding_table"),
)
#: Matrices that the original keeps as one, in this order.
_FUSED = {
    "blocks.{}.attn.qkv": tuple(f"transformer_blocks.{{}}.attn1.to_{part}" for part in "qkv"),
    "blocks.{}.cross_attn.kv_linear": tuple(f"transformer_blocks.{{}}.attn2.to_{part}" for part in "kv"),
}
_TABLES = (
    ("blocks.{}.scale_shift_table", "transformer_blocks.{}.scale_shift_table"),
    ("final_layer.scale_shift_table", "scale_shift_table"),
)
_LEFT_OUT = frozenset({"pos_embed", "y_embedder.y_embedding"})
_KINDS = ("weight", "bias")


def is_original(state: Iterable[str]) -> bool:
    """Whether these are names of DiT's or PixArt's own code."""
    return any(name.startswith("x_embedder.") for name in state)


def pixart_to_diffusers(state: Mapping[str, torch.Tensor]) -> State:
    """PixArt's own names to PixArtTransformer2DModel's. Raises BadCheckpointError for keys that are none of them."""
    return _to_diffusers(state, _PIXART)


def pixart_from_diffusers(state: Mapping[str, torch.Tensor]) -> State:
    """PixArtTransformer2DModel's names to PixArt's own. Raises BadCheckpointError for keys that are none of them."""
    return _from_diffusers(state, _PIXART)


def dit_to_diffusers(state: Mapping[str, torch.Tensor]) -> State:
    """DiT's own names to DiTTransformer2DModel's, its embedder in every block. Raises BadCheckpointError."""
    plain = {name: value for name, value in state.items() if not name.startswith(tuple(ours for ours, _ in _EMBEDDER))}
    made = _to_diffusers(plain, _DIT)
    for number in range(_blocks(state, "blocks")):
        for ours, theirs in _EMBEDDER:
            for name in (name for name in state if name.startswith(f"{ours}.")):
                made[f"transformer_blocks.{number}.norm1.emb.{theirs}.{name.rpartition('.')[2]}"] = state[name]
    return made


def dit_from_diffusers(state: Mapping[str, torch.Tensor]) -> State:
    """DiTTransformer2DModel's names to DiT's own. Raises BadCheckpointError, also where embedders of blocks differ:
    DiT has one for all.
    """
    first = "transformer_blocks.0.norm1.emb."
    embedders = {name: value for name, value in state.items() if ".norm1.emb." in name}
    for name, value in embedders.items():
        same = first + name.partition(".norm1.emb.")[2]
        if not torch.equal(value, embedders[same]):
            raise BadCheckpointError(f"{name} is not {same}: DiT has one embedder for all blocks.")
    made = _from_diffusers({name: value for name, value in state.items() if name not in embedders}, _DIT)
    for ours, theirs in _EMBEDDER:
        for name in (name for name in embedders if name.startswith(f"{first}{theirs}.")):
            made[f"{ours}.{name.rpartition('.')[2]}"] = embedders[name]
    return made


def _to_diffusers(state: Mapping[str, torch.Tensor], names: Iterable[tuple[str, str]]) -> State:
    left = {name: value for name, value in state.items() if name not in _LEFT_OUT}
    made: State = {}
    blocks = _blocks(state, "blocks")
    for ours, theirs in _pairs(names, blocks):
        if ours in left:
            made[theirs] = left.pop(ours)
    for ours, parts in _fused(blocks):
        if ours in left:
            whole = left.pop(ours)
            made |= dict(zip(parts, whole.chunk(len(parts)), strict=True))
    return _nothing_left(left, made)


def _from_diffusers(state: Mapping[str, torch.Tensor], names: Iterable[tuple[str, str]]) -> State:
    left = {name: value for name, value in state.items() if not name.startswith("pos_embed.pos_embed")}
    made: State = {}
    blocks = _blocks(state, "transformer_blocks")
    for ours, theirs in _pairs(names, blocks):
        if theirs in left:
            made[ours] = left.pop(theirs)
    for ours, parts in _fused(blocks):
        if parts[0] in left:
            made[ours] = torch.cat([left.pop(part) for part in parts])
    return _nothing_left(left, made)


def _pairs(names: Iterable[tuple[str, str]], blocks: int) -> Iterable[tuple[str, str]]:
    for ours, theirs in names:
        for kind in _KINDS:
            yield from _numbered(f"{ours}.{kind}", f"{theirs}.{kind}", blocks)
    for ours, theirs in _TABLES:
        yield from _numbered(ours, theirs, blocks)


def _numbered(ours: str, theirs: str, blocks: int) -> Iterable[tuple[str, str]]:
    for number in range(blocks if "{}" in ours else 1):
        yield ours.format(number), theirs.format(number)


def _fused(blocks: int) -> Iterable[tuple[str, list[str]]]:
    for number in range(blocks):
        for ours, parts in _FUSED.items():
            for kind in _KINDS:
                yield f"{ours.format(number)}.{kind}", [f"{part.format(number)}.{kind}" for part in parts]


def _blocks(state: Iterable[str], prefix: str) -> int:
    found = (re.match(rf"{prefix}\.(\d+)\.", name) for name in state)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def _nothing_left(left: State, made: State) -> State:
    if left:
        names = ", ".join(sorted(left)[:3])
        raise BadCheckpointError(f"{len(left)} keys of the checkpoint have no place in the model: {names}.")
    return made
