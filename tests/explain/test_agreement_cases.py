"""Constructed cases: the preprocessing of training and the class order are found by labels."""

from __future__ import annotations

import itertools

import pytest
from torch import nn

from napari_quac.data.preprocessing import PRESET_TITLES, PRESETS
from napari_quac.explain.agreement_check import check_agreement
from napari_quac.explain.agreement_text import findings
from napari_quac.networks.classifier_recipe import classifier_from_module

from .preprocessing_cases import NAMES, SIZE, Textures, draw_textures, train_network, train_well

ORDERS = tuple(itertools.permutations(range(3)))


def check(network, order=(0, 1, 2), n_images=90, seed=5):
    names = tuple(NAMES[index] for index in order)
    classifier = classifier_from_module(network, names, 3, SIZE, preprocessing="quac")
    return check_agreement(Textures(n_images, seed), classifier).result()


@pytest.mark.long
def test_preprocessing_and_class_order_are_found_in_95_of_100_cases():
    n_cases = n_right = n_decided_wrongly = 0
    for preset, seed in itertools.product(PRESETS, (1, 2, 3)):
        network = train_well(preset, stores_statistics=True, seed=seed)
        for number, order in enumerate(ORDERS):
            agreement = check(network, order, seed=1000 + 10 * seed + number)
            is_right = agreement.best.name == PRESET_TITLES[preset]
            is_order_right = agreement.best_class_names == NAMES
            n_cases += 1
            n_right += is_right and is_order_right
            n_decided_wrongly += agreement.labels_decide and not is_right
    assert n_cases == 108
    assert n_right >= 0.95 * n_cases
    assert n_decided_wrongly == 0


@pytest.mark.long
def test_without_stored_statistics_it_is_found_or_it_is_said_that_labels_cannot_tell():
    n_decided = n_wrong = 0
    for preset in PRESETS:
        network = train_well(preset, stores_statistics=False, seed=1)
        for number, order in enumerate(ORDERS):
            agreement = check(network, order, seed=2000 + number)
            assert agreement.best_class_names == NAMES
            n_decided += agreement.labels_decide
            n_wrong += agreement.labels_decide and agreement.best.name != PRESET_TITLES[preset]
    assert n_decided > 0
    assert n_wrong <= 0.05 * 36


def test_few_images_cannot_tell():
    network = train_network("imagenet", stores_statistics=True, seed=1, n_steps=60)
    agreement = check(network, n_images=6)
    assert agreement.conclusion in ("cannot tell", "near chance")
    assert not agreement.labels_decide


def test_a_network_that_normalizes_its_input_cannot_tell_and_it_does_not_matter():
    network = nn.Sequential(
        nn.InstanceNorm2d(3), train_network("zscore", stores_statistics=False, seed=1, n_steps=120)
    )
    agreement = check(network)
    assert agreement.conclusion == "cannot tell"
    assert len(agreement.tied) == len(PRESETS)
    assert agreement.best is agreement.current
    assert "predict the same class for all 60 images" in findings(agreement)[1].text


def test_untrained_networks_are_near_chance():
    network = train_network("unit", stores_statistics=False, seed=1, n_steps=0)
    assert check(network).conclusion == "near chance"


def test_drawn_textures_are_reproducible():
    assert draw_textures(3, 1)[0].equal(draw_textures(3, 1)[0])
