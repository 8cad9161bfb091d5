"""Classes of a generator matched to those of a classifier, by name."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_quac.data.assumptions import Assumption
from napari_quac.data.file_names import file_name, safe_name
from napari_quac.data.name_match import are_numbered, match_by_name, quote_names
from napari_quac.errors import DataError
from napari_quac.registry import unknown_name

if TYPE_CHECKING:
    from napari_quac.networks.generator import ConversionRequest, Generator

NOT_USED = ""
"""Partner of a class of the generator that the user has left out."""


@dataclass(frozen=True)
class ClassMatch:
    """Classes of a classifier for the classes of a generator.

    Attributes
    ----------
    generator_classes : tuple of str
        Empty for a generator that takes any class.
    class_names : tuple of str
        Of the classifier.
    indices : tuple of int or None
        Class of the classifier for each class of the generator; None without one.
    is_answered : bool
        The user has decided about the classes without a partner, or there is nothing to decide.
    assumptions : tuple of Assumption
        Differences of spelling that were ignored, or an order that was assumed.
    """

    generator_classes: tuple[str, ...]
    class_names: tuple[str, ...]
    indices: tuple[int | None, ...]
    is_answered: bool = True
    assumptions: tuple[Assumption, ...] = ()

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Classes of the generator without a class of the classifier."""
        pairs = zip(self.generator_classes, self.indices, strict=True)
        return tuple(name for name, index in pairs if index is None)

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes of the classifier without a class of the generator."""
        return tuple(n for i, n in enumerate(self.class_names) if i not in self.indices)

    @property
    def is_usable(self) -> bool:
        """True if the generator takes any class, or has one of the classifier's."""
        return not self.generator_classes or any(index is not None for index in self.indices)

    @property
    def as_map(self) -> dict[str, str]:
        """Class of the classifier for each class of the generator; empty for one without."""
        pairs = zip(self.generator_classes, self.indices, strict=True)
        return {
            name: NOT_USED if index is None else self.class_names[index] for name, index in pairs
        }

    @property
    def warning(self) -> str:
        """Sentences about classes that do not match; empty if the user need not decide."""
        if self.is_answered:
            return ""
        return (
            f"The generator has the classes {quote_names(self.generator_classes)}, the classifier "
            f"{quote_names(self.class_names)}. They are matched by name; "
            f"{quote_names(self.unmatched)} {'has' if len(self.unmatched) == 1 else 'have'} no "
            "partner."
        )

    def names_for_generator(self) -> tuple[str, ...]:
        """Return the classes of the classifier in the words of the generator.

        A class without a partner keeps its name, marked if the generator has a class of that name.
        """
        partner = {
            index: name
            for name, index in zip(self.generator_classes, self.indices, strict=True)
            if index is not None
        }
        taken = set(self.generator_classes)
        return tuple(
            partner.get(index, f"{name} (not used)" if name in taken else name)
            for index, name in enumerate(self.class_names)
        )

    def require_usable(self, name: str) -> None:
        """Refuse a generator that shares no class with the classifier.

        Raises
        ------
        DataError
            With both lists of classes in its text.
        """
        if self.is_usable:
            return
        advice = "Match the classes in the card of the generator (--class-map)"
        if are_numbered(self.class_names):
            advice = f"Name the classes of the classifier (--classes). Or {advice.lower()}"
        raise DataError(
            f"The generator {name} has none of the classes of the classifier: it has "
            f"{quote_names(self.generator_classes)}, the classifier "
            f"{quote_names(self.class_names)}. {advice}, or choose a generator of these classes."
        )


def match_classes(generator: Generator, class_names: Sequence[str]) -> ClassMatch:
    """Match the classes of a generator to those of a classifier.

    Classes that ``generator.class_map`` names are matched as it states. Of the others, equal names
    match, and those that differ only in capitals, blanks, punctuation or a number in front; this is
    an assumption. A generator whose classes have no names takes the order of the classifier if both
    have equally many; this is an assumption, too.

    Parameters
    ----------
    generator : Generator
        With or without names of classes.
    class_names : sequence of str
        Of the classifier.
    """
    names = tuple(class_names)
    own, is_nameless = classes_of(generator), not getattr(generator, "class_names", ())
    if not own:
        return ClassMatch((), names, ())
    chosen = {
        name: partner
        for name, partner in getattr(generator, "class_map", {}).items()
        if name in own and (partner in names or partner == NOT_USED)
    }
    if is_nameless and not chosen and len(own) == len(names):
        return ClassMatch(own, names, tuple(range(len(own))), True, (_assumed_order(names),))
    indices = {name: names.index(p) if p != NOT_USED else None for name, p in chosen.items()}
    assumptions = _match_rest(own, names, indices)
    match = ClassMatch(own, names, tuple(indices[n] for n in own), True, assumptions)
    undecided = [name for name in match.unmatched if name not in chosen]
    return replace(match, is_answered=not (undecided and match.absent))


def _match_rest(
    own: tuple[str, ...], names: tuple[str, ...], indices: dict[str, int | None]
) -> tuple[Assumption, ...]:
    """Match by name what is not matched yet; returns the assumptions about spelling."""
    free = [name for index, name in enumerate(names) if index not in indices.values()]
    # a folder of images is named after its class, whose name may be no file name
    folders = {form(name): name for name in free for form in (file_name, safe_name)}
    for name in own:
        if name not in indices and name in folders and folders[name] in free:
            indices[name] = names.index(folders[name])
            free.remove(folders[name])
    rest = [name for name in own if name not in indices]
    match = match_by_name(rest, free)
    for name, place in zip(rest, match.indices, strict=True):
        indices[name] = None if place is None else names.index(free[place])
    if not match.respelled:
        return ()
    texts = [f"'{name}' is taken for '{other}'" for name, other in match.respelled.items()]
    sentence = f"Of the classes of the generator, {'; '.join(texts)} (--class-map)."
    return (Assumption("class names", sentence),)


def with_class_map(generator: Generator, class_map: Mapping[str, str]) -> Generator:
    """Return a generator whose classes are matched as a user states.

    Parameters
    ----------
    generator : Generator
        It stays unchanged.
    class_map : Mapping[str, str]
        Class of the classifier for classes of the generator; empty for one that is not used.
    """
    if dict(getattr(generator, "class_map", {})) == dict(class_map):
        return generator
    changed = copy.copy(generator)
    changed.class_map = dict(class_map)
    return changed


def check_class_map(generator: Generator, class_names: Sequence[str]) -> None:
    """Refuse a class map with names that the generator or the classifier does not have.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    own = classes_of(generator)
    for name, partner in getattr(generator, "class_map", {}).items():
        if name not in own:
            raise unknown_name("class of the generator called", name, list(own))
        if partner != NOT_USED and partner not in class_names:
            raise unknown_name("class of the classifier called", partner, list(class_names))


def classes_of(generator: Generator) -> tuple[str, ...]:
    """Return the classes of a generator, numbered if they have no names; empty if it takes any."""
    names = tuple(getattr(generator, "class_names", ()))
    n_classes = getattr(generator, "n_classes", None) or 0
    return names or tuple(f"class {index}" for index in range(n_classes))


def request_for(generator: Generator, request: ConversionRequest) -> ConversionRequest:
    """Return a request whose classifier names its classes in the words of a generator.

    So a generator finds its classes by name, also where names differ or the user has matched them.

    Raises
    ------
    DataError
        If the generator has none of the classes.
    """
    if not classes_of(generator):
        return request
    match = match_classes(generator, request.classifier.class_names)
    match.require_usable(generator.name)
    names = match.names_for_generator()
    is_order = not generator.class_names and match.indices == tuple(range(len(match.indices)))
    if is_order or names == tuple(request.classifier.class_names):
        return request
    return replace(request, classifier=request.classifier.with_class_names(names))


def _assumed_order(names: tuple[str, ...]) -> Assumption:
    return Assumption(
        "class names",
        f"The file of the generator names no classes; its {len(names)} classes are taken in the "
        f"order of the classifier: {', '.join(names)} (--class-map).",
    )
