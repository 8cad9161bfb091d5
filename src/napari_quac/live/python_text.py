"""*Copy as Python*: a script that computes the displayed explanation again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import napari_quac
from napari_quac.explain.settings import AUTO
from napari_quac.live.explanation_recipe import ExplanationRecipe

WIDTH = 88
"""Characters of a line; longer calls have one argument in each line."""
RECOGNIZED = ("StarGANRecipe", "WarpRecipe", "ExaggerationRecipe", "GeneratedRecipe")
"""Recipes that follow from their file, so that ``load_generator`` needs nothing else."""


@dataclass
class _Script:
    """Text of expressions, and the imports that they need."""

    imports: set[str] = field(default_factory=set)

    def expression(self, node: Any) -> str:
        """Return the text of a value: a recipe, settings, or plain values in them."""
        if isinstance(node, Path):
            self.imports.add("from pathlib import Path")
            return f"Path({str(node)!r})"
        if is_dataclass(node) and not isinstance(node, type):
            return self.call(self.name_of(type(node)), changes_of(node))
        if isinstance(node, Mapping):
            entries = (f"{key!r}: {self.expression(entry)}" for key, entry in node.items())
            return "{" + ", ".join(entries) + "}"
        if isinstance(node, tuple | list):
            parts = [self.expression(entry) for entry in node]
            return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
        return repr(node)

    def name_of(self, cls: type) -> str:
        """Return the name of a class, and import it if it is not a public name."""
        if cls.__name__ in napari_quac.__all__:
            return f"nq.{cls.__name__}"
        self.imports.add(f"from {cls.__module__} import {cls.__name__}")
        return cls.__name__

    def call(self, name: str, keywords: Mapping[str, Any], *positional: Any) -> str:
        """Return a call, over several lines if it is long."""
        parts = [self.expression(part) for part in positional]
        parts += [f"{key}={self.expression(entry)}" for key, entry in keywords.items()]
        line = f"{name}({', '.join(parts)})"
        if len(line) <= WIDTH - 20 or len(parts) < 2:
            return line
        indented = (part.replace("\n", "\n    ") for part in parts)
        return f"{name}(\n    " + ",\n    ".join(indented) + ",\n)"


def python_text(recipe: ExplanationRecipe) -> str:
    """Return a script that computes an explanation again and prints its score.

    Parameters
    ----------
    recipe : ExplanationRecipe
        From :func:`~napari_quac.live.explanation_recipe.displayed_recipe`.

    Returns
    -------
    str
        The last line that it prints is the QuAC score with all digits.
    """
    script = _Script()
    settings = replace(recipe.settings, targets=AUTO, source_basis="auto")
    question = {"target": recipe.target, "source": recipe.source}
    call = ", ".join(f"{key}={name!r}" for key, name in question.items())
    lines = [
        f"samples = {_samples(recipe, script)}",
        f"classifier = {_classifier(recipe, script)}",
        f"generator = {_generator(recipe, script)}",
    ]
    if recipe.n_axes not in (None, 2) and type(recipe.samples).__name__ == "ImageFilesRecipe":
        lines.append(f"samples.n_axes = {recipe.n_axes}")
    if recipe.class_map:
        lines.append(f"generator.class_map = {dict(recipe.class_map)!r}")
    lines += [
        f"settings = {script.expression(settings)}",
        "",
        f"sample = samples[{recipe.index}]  # {_comment(recipe.sample_id)}",
        "explanations = nq.explain_image(",
        f"    sample, classifier, generator, {call}, settings=settings",
        ")",
        f"explanation = explanations[{recipe.method!r}]",
    ]
    if recipe.threshold is not None:
        index = f"explanation.curve.index_at({recipe.threshold!r})"
        lines.append(f"hybrid = nq.hybrid_at(explanation.pair, explanation.curve, {index})")
    lines += ["print(explanation)", "print(explanation.quac_score)"]
    paths = [line for line in script.imports if "pathlib" in line]
    others = sorted(script.imports.difference(paths))
    head = [*paths, *("" for _ in paths), "import napari_quac as nq", *others, ""]
    return "\n".join([*head, *lines]) + "\n"


def _samples(recipe: ExplanationRecipe, script: _Script) -> str:
    samples = recipe.samples
    changes = changes_of(samples)
    if type(samples).__name__ == "ImageFolderRecipe" and set(changes) == {"directory"}:
        return f"nq.ImageFolder({str(samples.directory)!r})"
    return f"{script.expression(samples)}.load()"


def _classifier(recipe: ExplanationRecipe, script: _Script) -> str:
    changes = changes_of(recipe.classifier)
    path = str(changes.pop("path"))
    names = changes.pop("class_names", None) or recipe.class_names
    keywords = ({"classes": names} if names else {}) | _device(recipe) | changes
    return script.call("nq.load_classifier", keywords, path)


def _generator(recipe: ExplanationRecipe, script: _Script) -> str:
    generator, changes = recipe.generator, changes_of(recipe.generator)
    if type(generator).__name__ in RECOGNIZED and set(changes) == {"path"}:
        return script.call("nq.load_generator", _device(recipe), str(generator.path))
    device = "" if recipe.device == AUTO else repr(recipe.device)
    return f"{script.expression(generator)}.load({device})"


def _device(recipe: ExplanationRecipe) -> dict[str, str]:
    return {} if recipe.device == AUTO else {"device": recipe.device}


def changes_of(node: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults."""
    entries = {entry.name: (getattr(node, entry.name), entry) for entry in fields(node)}
    return {
        name: present
        for name, (present, entry) in entries.items()
        if entry.init and (_default(entry) is MISSING or present != _default(entry))
    }


def _default(entry: Field[Any]) -> Any:
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return entry.default


def _comment(text: str) -> str:
    """Return a text without what would end a comment."""
    return "".join(mark if mark.isprintable() else " " for mark in text)
