"""Fields of a recipe that nothing reads, because of another field: to say one is a mistake, to inherit one is none.

A recipe that extends one of another method, or a command line that changes the method, takes fields along that play no
part there: those go back to their defaults. What is said where nothing can read it is refused. Leaves out: fields that
contradict each other (recipe.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from core.errors import BadRecipeError
from training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Rule:
    """`fields` are read by nothing where `unread` says so, because of the fields `since`; `why` in words."""

    fields: tuple[str, ...]
    since: tuple[str, ...]
    unread: Callable[[Recipe], bool]
    why: str


RULES = (
    Rule(
        ("captions.old_text", "captions.tokens", "model.text_encoder"),
        ("method",),
        lambda recipe: recipe.method != "pixart",
        "only method pixart reads captions",
    ),
    Rule(
        ("captions.dropout", "objective.learn_sigma", "objective.min_snr"),
        ("method",),
        lambda recipe: recipe.method == "classifier",
        "a classifier drops no class and learns no noise",
    ),
    Rule(
        ("data.label",),
        ("method",),
        lambda recipe: recipe.method == "pixart",
        "method pixart reads captions, not classes",
    ),
    Rule(
        ("model.reparameterise_at", "model.without_class"),
        ("method", "model.start"),
        lambda recipe: recipe.method != "pixart" or recipe.model.start is None,
        "only a PixArt that starts from a DiT is re-parameterised",
    ),
    Rule(
        ("objective.steps",),
        ("objective.kind",),
        lambda recipe: recipe.objective.kind == "flow",
        "flow matching has no noise schedule",
    ),
    Rule(
        ("optimiser.matrix_rate",),
        ("optimiser.name",),
        lambda recipe: recipe.optimiser.name != "muon",
        "it is the rate of optimiser.name: muon",
    ),
    Rule(
        ("optimiser.decay_share",),
        ("optimiser.schedule",),
        lambda recipe: recipe.optimiser.schedule != "decay",
        "it belongs to optimiser.schedule: decay",
    ),
)


def read_fields_only(recipe: Recipe, name: str, in_file: Collection[str], in_changes: Collection[str]) -> Recipe:
    """The recipe of this name with the defaults of what nothing reads. `in_file`, `in_changes`: fields that its own
    file says (not what it extends), and that the command line says, by their full names.

    A file may say defaults, as the recipe that is written into a run's folder says all of them. Raises BadRecipeError
    for what else is said and read by nothing.
    """
    fields = recipe.model_dump()
    for rule in RULES:
        if not rule.unread(recipe):
            continue
        for field in rule.fields:
            section, inside = field.split(".")
            default = type(getattr(recipe, section)).model_fields[inside].default
            # What the command line made useless, the file may say.
            in_vain = field in in_file and not any(each in in_changes for each in rule.since)
            if field in in_changes or (in_vain and fields[section][inside] != default):
                raise BadRecipeError(f"{name}: `{field}` is read by nothing: {rule.why}.", hint="Leave it out.")
            fields[section][inside] = default
    return Recipe.model_validate(fields)


def names(value: dict[str, Any]) -> Iterator[str]:
    """The full names of the fields in a recipe's file."""
    for name, inside in value.items():
        yield from (f"{name}.{field}" for field in inside) if isinstance(inside, dict) else (name,)
