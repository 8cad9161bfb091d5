"""Make the networks that are explored, from a folder of images and in minutes."""

from napari_quac.train.classifier_trainer import TrainedClassifier, train_classifier
from napari_quac.train.evaluate import (
    Evaluation,
    MaskFolder,
    PairEvaluation,
    evaluate_generator,
)
from napari_quac.train.settings import (
    ClassifierTraining,
    LossWeights,
    StarGANTraining,
    official_training,
)
from napari_quac.train.stargan_trainer import TrainedGenerator, TrainingState, train_stargan

__all__ = [
    "ClassifierTraining",
    "Evaluation",
    "LossWeights",
    "MaskFolder",
    "PairEvaluation",
    "StarGANTraining",
    "TrainedClassifier",
    "TrainedGenerator",
    "TrainingState",
    "evaluate_generator",
    "official_training",
    "train_classifier",
    "train_stargan",
]
