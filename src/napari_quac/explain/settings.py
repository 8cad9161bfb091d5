"""Settings of an explanation: one value for dock, plans, store, command line and Python.

Two runs that were made with equal settings are comparable, so ``==`` is the test for it. Nothing
here imports PyTorch, so that the dock opens without waiting for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args

from napari_quac.errors import DataError
from napari_quac.explain.mask import Masking
from napari_quac.explain.procedure import Grid, Procedure
from napari_quac.registry import unknown_name
from napari_quac.serialize import from_plain, to_plain

DEFAULT_METHODS = ("d-ig", "d-deeplift", "d-ingrad", "residual", "random")
AUTO, ALL = "auto", "all"
SourceBasis = Literal["auto", "prediction", "label"]
FORMER_MASKING_KEYS = {"centred": "centered"}  # wording: key in plans and stores of before
V = TypeVar("V")


class FrozenMapping(Mapping[str, V]):
    """A mapping that cannot be changed, so that it can be hashed, compared and pickled.

    Nested mappings are frozen as well, and lists become tuples.
    """

    def __init__(self, values: Mapping[str, V]) -> None:
        self._values = {key: _frozen(values[key]) for key in values}

    def __getitem__(self, key: str) -> V:
        return cast("V", self._values[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)


def _frozen(plain: Any) -> Any:
    if isinstance(plain, Mapping):
        return FrozenMapping(plain)
    return tuple(_frozen(entry) for entry in plain) if isinstance(plain, list) else plain


def refuse_repetition(key: str, names: str | tuple[str, ...]) -> None:
    """Refuse a list that contains a name twice."""
    if isinstance(names, tuple) and len(set(names)) < len(names):
        repeated = next(name for name, n in Counter(names).items() if n > 1)
        raise DataError(f"'{key}' contains '{repeated}' twice. Name it once.")


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Length of the search, and the proposal to choose.

    Attributes
    ----------
    max_tries : int
        Maximum number of proposals, at least 1.
    block : int
        Number of proposals that are classified together, at least 1: the search ends after the
        first block in which a proposal switches.
    keep : "most_confident" or "first"
        Of all proposals, choose the one with the highest probability of the target, or the first
        one that switches.

    Raises
    ------
    DataError
        If ``max_tries`` or ``block`` is below 1.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}
    max_tries: int = 100
    block: int = 10
    keep: Literal["most_confident", "first"] = "most_confident"

    def __post_init__(self) -> None:
        for name in ("max_tries", "block"):
            if getattr(self, name) < 1:
                raise DataError(f"'{name}' is {getattr(self, name)}; at least 1 is needed.")


@dataclass(frozen=True)
class ExplainSettings:
    """Everything that decides how a sample is explained, apart from sample and networks.

    Attributes
    ----------
    methods : tuple of str
        Names in the registry of methods. Names are not looked up here, because a store may name
        methods of packages that are not installed; see
        :func:`~napari_quac.explain.method_parameters.check_methods`.
    masking : Masking
    grid : "quac_0_2", "corrected" or "dapi"
        See :func:`~napari_quac.explain.curve.threshold_grid`.
    search : SearchSettings
    parameters : mapping of str to mapping
        Name of a method to its parameters that differ from the defaults.
    procedure : Procedure
        Direction of the hybrids, and criterion of the optimum.
    source_basis : "auto", "prediction" or "label"
        Origin of the source class: the prediction or the label of the sample. ``auto`` is the
        label for previously generated images, whose folders it names, and the prediction for
        every other generator.
    targets : "auto", "all" or tuple of str
        The most useful target of each sample, every other class, or the named classes.
    seed : int
        Seed of everything random; each sample and target derives its own, so that the order of
        the work does not matter.

    Raises
    ------
    DataError
        If methods or targets are empty or repeated.
    UnknownNameError
        If the grid or the source basis is unknown, or parameters belong to a method that is not
        chosen.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}
    methods: tuple[str, ...] = DEFAULT_METHODS
    masking: Masking = field(default_factory=Masking)
    grid: Grid = "quac_0_2"
    search: SearchSettings = field(default_factory=SearchSettings)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    procedure: Procedure = field(default_factory=Procedure)
    source_basis: SourceBasis = "auto"
    targets: str | tuple[str, ...] = AUTO
    seed: int = 0

    def __post_init__(self) -> None:
        targets = self.targets
        if isinstance(targets, str) and targets not in (AUTO, ALL):
            targets = (targets,)
        parameters = {name: values for name, values in self.parameters.items() if values}
        object.__setattr__(self, "methods", tuple(self.methods))
        object.__setattr__(self, "targets", targets if isinstance(targets, str) else tuple(targets))
        object.__setattr__(self, "parameters", FrozenMapping(parameters))
        if not self.methods:
            raise DataError("'methods' is empty. 'napari-quac methods' lists all methods.")
        if not self.targets:
            raise DataError("'targets' is empty. Choose auto, all, or class names.")
        refuse_repetition("methods", self.methods)
        refuse_repetition("targets", self.targets)
        for kind, name, names in (
            ("grid", self.grid, get_args(Grid)),
            ("source basis", self.source_basis, get_args(SourceBasis)),
            *(("chosen method with parameters", name, self.methods) for name in parameters),
        ):
            if name not in names:
                raise unknown_name(kind, name, list(names))

    @classmethod
    def from_preset(cls, name: str) -> ExplainSettings:
        """Return the settings of a published system, ``"quac"`` or ``"dapi"``.

        Raises
        ------
        UnknownNameError
            If there is no such preset.

        Examples
        --------
        >>> ExplainSettings.from_preset("dapi").procedure.into
        'generated'
        """
        if name not in PRESETS:
            raise unknown_name("preset", name, list(PRESETS))
        return PRESETS[name].settings

    @property
    def preset(self) -> str | None:
        """Name of the preset with this procedure; None if no preset has it."""
        matches = (key for key, p in PRESETS.items() if p.settings.procedure == self.procedure)
        return next(matches, None)

    def with_methods(
        self, methods: tuple[str, ...], parameters: Mapping[str, Mapping[str, Any]] | None = None
    ) -> ExplainSettings:
        """Return these settings with other methods.

        Parameters
        ----------
        methods : tuple of str
            Names in the registry of methods. A method that was chosen before keeps its
            parameters; an added one gets those of the preset.
        parameters : mapping, optional
            Parameters to change, of any method.
        """
        preset = self.preset
        initial = PRESETS[preset].settings.parameters if preset else {}
        before = {**initial, **{name: self.parameters.get(name, {}) for name in self.methods}}
        changes = parameters or {}
        combined = {name: {**before.get(name, {}), **changes.get(name, {})} for name in methods}
        return replace(self, methods=methods, parameters=combined)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values, for JSON and YAML."""
        return cast("dict[str, Any]", to_plain(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], place: str = "settings") -> ExplainSettings:
        """Read plain values; settings without a value keep their default.

        Parameters
        ----------
        values : mapping
            As :meth:`to_dict` returns them. ``preset`` names a preset whose settings are the
            defaults, such as ``{"preset": "dapi"}``.
        place : str
            Position in the file, for error messages.

        Raises
        ------
        UnknownNameError
            If a key is unknown; the message names the nearest one.
        DataError
            If a value has the wrong type or is impossible.
        """
        if not isinstance(values, Mapping):
            raise DataError(f"'{place}' must be a mapping of settings, got '{values}'.")
        explicit = dict(values)
        base = cls.from_preset(str(explicit.pop("preset", "quac")))
        if isinstance(masking := explicit.get("masking"), Mapping):
            explicit["masking"] = {FORMER_MASKING_KEYS.get(k, k): v for k, v in masking.items()}
        methods = explicit.get("methods")
        if isinstance(methods, list | tuple) and methods:
            base = base.with_methods(tuple(map(str, dict.fromkeys(methods))))
        plain = base.to_dict()
        for key, entry in explicit.items():
            before = plain.get(key)
            is_nested = isinstance(before, dict) and isinstance(entry, Mapping)
            plain[key] = {**before, **entry} if is_nested else entry  # type: ignore[dict-item]
        return from_plain(cls, plain, place)


@dataclass(frozen=True)
class Preset:
    """Settings of a published system.

    Attributes
    ----------
    label : str
        Name in the window.
    description : str
        One sentence.
    settings : ExplainSettings
    """

    label: str
    description: str
    settings: ExplainSettings


PRESETS: dict[str, Preset] = {
    "quac": Preset(
        "QuAC",
        "The masked part of the generated image is copied into the query.",
        ExplainSettings(),
    ),
    "dapi": Preset(
        "DAPI",
        "The masked part of the query is copied back into the generated image.",
        ExplainSettings(
            (
                "d-ig", "d-deeplift", "d-ingrad", "d-gc", "d-ggc",
                "ig", "deeplift", "ingrad", "gc", "ggc", "residual", "random",
            ),
            Masking(channel_wise=False),
            "dapi",
            parameters={"d-ingrad": {"absolute": True}, "residual": {"absolute": True}},
            procedure=Procedure("generated", True, "squares", "mean", 0.8),
        ),
    ),
}  # fmt: skip


def derive_pair_settings(settings: ExplainSettings) -> ExplainSettings:
    """Return the settings on which the explanations of a pair depend."""
    initial = ExplainSettings()
    others = ("search", "source_basis", "targets", "seed")
    return replace(settings, **{name: getattr(initial, name) for name in others})
