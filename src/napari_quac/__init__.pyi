from .data.dataset import Sample
from .data.image_datasets import ImageFiles, ImageFolder
from .data.image_file import read_image, write_image
from .errors import QuacError
from .explain.attribution import Attribution, AttributionMethod, SignedMap, attribute
from .explain.curve import Curve, Hybrid, blend, hybrid_at, make_hybrid, threshold_grid, trace_curve
from .explain.explanation import Explanation, Explanations
from .explain.mask import Masking
from .explain.methods import METHODS
from .explain.pair import Pair, make_pair
from .explain.pipeline import explain_attribution, explain_pair
from .explain.score import best_point, quac_score
from .explain.search import search
from .explain.settings import ExplainSettings, SearchSettings
from .explain.verdict import Finding, verdict
from .generators import GENERATORS
from .generators.family import GeneratorFamily
from .generators.opening import load_classifier, load_generator
from .gui.view import view
from .networks.classifier import Classifier
from .networks.formats.export import export_classifier
from .networks.generator import (
    ConversionRequest,
    FunctionGenerator,
    Generator,
    Proposals,
)
from .networks.value_range import ValueRange
from .notebook import attribute_image, explain_folder, explain_image
from .reports.opening import open_report
from .reports.report import Report
from .stepwise import Progress, Steps, stepwise

__version__: str

__all__ = [
    "GENERATORS",
    "METHODS",
    "Attribution",
    "AttributionMethod",
    "Classifier",
    "ConversionRequest",
    "Curve",
    "ExplainSettings",
    "Explanation",
    "Explanations",
    "Finding",
    "FunctionGenerator",
    "Generator",
    "GeneratorFamily",
    "Hybrid",
    "ImageFiles",
    "ImageFolder",
    "Masking",
    "Pair",
    "Progress",
    "Proposals",
    "QuacError",
    "Report",
    "Sample",
    "SearchSettings",
    "SignedMap",
    "Steps",
    "ValueRange",
    "attribute",
    "attribute_image",
    "best_point",
    "blend",
    "explain_attribution",
    "explain_folder",
    "explain_image",
    "explain_pair",
    "export_classifier",
    "hybrid_at",
    "load_classifier",
    "load_generator",
    "make_hybrid",
    "make_pair",
    "open_report",
    "quac_score",
    "read_image",
    "search",
    "stepwise",
    "threshold_grid",
    "trace_curve",
    "verdict",
    "view",
    "write_image",
]
