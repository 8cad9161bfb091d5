"""Make the networks that are explored, from a folder of images and in minutes."""

from napari_quac.train.classifier_trainer import TrainedClassifier, train_classifier
from napari_quac.train.cyclegan_settings import CycleGANTraining, CycleWeights
from napari_quac.train.cyclegan_trainer import TrainedCycleGAN, train_cyclegan
from napari_quac.train.evaluate import (
    Evaluation,
    MaskFolder,
    PairEvaluation,
    evaluate_generator,
)
from napari_quac.train.exaggeration_evaluation import BinEvaluation
from napari_quac.train.exaggeration_settings import ExaggerationTraining, ExaggerationWeights
from napari_quac.train.exaggeration_trainer import TrainedExplainer, train_exaggeration
from napari_quac.train.settings import (
    ClassifierTraining,
    LossWeights,
    StarGANTraining,
    official_training,
)
from napari_quac.train.stargan_trainer import TrainedGenerator, TrainingState, train_stargan
from napari_quac.train.warp_trainer import TrainedWarp, WarpTraining, train_warp

__all__ = [
    "BinEvaluation",
    "ClassifierTraining",
    "CycleGANTraining",
    "CycleWeights",
    "Evaluation",
    "ExaggerationTraining",
    "ExaggerationWeights",
    "LossWeights",
    "MaskFolder",
    "PairEvaluation",
    "StarGANTraining",
    "TrainedClassifier",
    "TrainedCycleGAN",
    "TrainedExplainer",
    "TrainedGenerator",
    "TrainedWarp",
    "TrainingState",
    "WarpTraining",
    "evaluate_generator",
    "official_training",
    "train_classifier",
    "train_cyclegan",
    "train_exaggeration",
    "train_stargan",
    "train_warp",
]
