"""The training stack: from a hand-off to a diffusion model that loads anywhere."""
