"""The demo world: scenes drawn from a graph, exact captions of them, bad old text, and the scorer. Knows no model."""
