"""Captions in, proof out: nouns, concept density, gates, reports, the hand-off manifest and its exports."""
