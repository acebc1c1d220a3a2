"""What a PixArt must compute: multiplications by its dimensions, and what accelerators can do at most."""

from __future__ import annotations

from training.models import Size

#: Dense bf16 (V100: fp16) TFLOP/s in the makers' data sheets, by a part of the device's name; longer names first.
PEAKS = {
    "H100 PCIe": 756.0,
    "H200": 989.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "A10G": 70.0,
    "V100": 125.0,
}


def products(size: Size, *, side: int | None = None, tokens: int = 120, channels: int = 4, out: int = 4) -> int:
    """Multiplications of one image's forward pass. `side`: of the latent; `tokens`: of its text; `out`: channels."""
    width, patches = size.width, ((side or size.side) // size.patch) ** 2
    own = 4 * patches * width**2 + 2 * patches**2 * width
    cross = 2 * (patches + tokens) * width**2 + 2 * patches * tokens * width
    mlp = 8 * patches * width**2
    text = tokens * (size.text * width + width**2)
    # 256 values say a time step; t_block makes the six rows of adaLN-single.
    time = 256 * width + width**2 + 6 * width**2
    ends = patches * size.patch**2 * (channels + out) * width
    return size.layers * (own + cross + mlp) + text + time + ends


def trained(size: Size, *, side: int | None = None, tokens: int = 120) -> float:
    """FLOP of one image trained, forward and back, nothing computed twice: backward is two forwards, a product two."""
    return 6.0 * products(size, side=side, tokens=tokens)


def peak(device: str) -> float | None:
    """TFLOP/s that the device of this name can do at most; None where it is not known."""
    return next((peak for name, peak in PEAKS.items() if name in device), None)
