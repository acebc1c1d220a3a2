"""The demo world's kit: an image encoder, a text encoder and a PixArt that ship, and how they were trained."""
