"""The door to engines stays light, and says in one sentence why it does not open."""

from __future__ import annotations

import subprocess
import sys

import pytest

from captioner.engine import Engine, load_engine
from captioner.transformers_engine import TransformersEngine
from core.errors import EngineConfigError
from tests.captioner.helpers import settings, spec_of


def test_importing_the_rooms_front_loads_no_model_library() -> None:
    code = (
        "import sys, captioner.engine, captioner.prompts, captioner.checks, captioner.captions;"
        "import captioner.openai_engine, captioner.transformers_engine, captioner.small;"
        "found = {'torch', 'transformers', 'spacy', 'httpx'} & set(sys.modules); sys.exit(', '.join(found) or None)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr


def test_an_engine_folder_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(EngineConfigError, match=r"There is no model folder '/nowhere/llava'\.$"):
        load_engine(spec_of("/nowhere/llava"), settings())


def test_the_transformers_engine_is_an_engine(engine: TransformersEngine) -> None:
    assert isinstance(engine, Engine)
