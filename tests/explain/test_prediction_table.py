import numpy as np

from napari_quac.errors import DataError
from napari_quac.explain.prediction_table import UNKNOWN, predict_all
from napari_quac.testing import CornerSamples, corner_classifier


class WithUnreadable:
    """The corner images, of which one cannot be read and one does not fit the classifier."""

    name = "corners"

    def __init__(self):
        self._samples = CornerSamples(9, wrong=(4,))
        self.classes = self._samples.classes
        self.sample_id, self.label = self._samples.sample_id, self._samples.label

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, index):
        if index == 2:
            raise DataError("corner/2 is torn")
        return self._samples[index]


def test_every_sample_has_its_prediction_and_the_wrong_label_is_found():
    table = predict_all(CornerSamples(9, wrong=(4,)), corner_classifier()).result()
    assert table.is_predicted.all()
    assert list(table.predicted) == [0, 1, 2] * 3
    assert list(np.flatnonzero(table.mispredicted)) == [4]
    # sample 4 shows the second class and is labelled as the third
    assert table.confusion().tolist() == [[3, 0, 0], [0, 2, 0], [0, 1, 3]]


def test_a_sample_that_cannot_be_read_is_noted_and_the_others_go_on():
    table = predict_all(WithUnreadable(), corner_classifier()).result()
    assert table.failures == {2: "corner/2 is torn"}
    assert table.predicted[2] == UNKNOWN
    assert not table.mispredicted[2]
    assert np.isnan(table.confidence[2])
    assert table.is_predicted.sum() == 8
    assert table.confusion().sum() == 8


def test_the_batch_size_changes_nothing():
    tables = [
        predict_all(CornerSamples(7), corner_classifier(), size).result() for size in (1, 3, 100)
    ]
    for table in tables[1:]:
        assert np.array_equal(table.probabilities, tables[0].probabilities)


def test_partial_tables_are_not_changed_afterwards():
    partials = [
        progress.partial for progress in predict_all(CornerSamples(5), corner_classifier(), 2)
    ]
    assert [int(partial.is_predicted.sum()) for partial in partials] == [0, 2, 4]


def test_what_is_known_is_not_predicted_again():
    dataset, classifier = CornerSamples(9), corner_classifier()
    whole = predict_all(dataset, classifier, 2).result()
    partial = next(
        step.partial
        for step in predict_all(dataset, classifier, 2)
        if step.partial.is_predicted.sum() > 3
    )
    asked = []

    class Counting(CornerSamples):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    resumed = predict_all(Counting(9), classifier, previous=partial).result()
    assert asked == [4, 5, 6, 7, 8]
    np.testing.assert_array_equal(resumed.probabilities, whole.probabilities)
    assert resumed.is_complete and not partial.is_complete


def test_a_failed_sample_is_not_asked_again_and_counts_as_done():
    table = predict_all(WithUnreadable(), corner_classifier()).result()
    assert table.is_complete
    again = predict_all(WithUnreadable(), corner_classifier(), previous=table).result()
    assert again.failures == {2: "corner/2 is torn"}


def test_partial_tables_come_no_more_often_than_asked():
    steps = list(predict_all(CornerSamples(9), corner_classifier(), 1, partial_every=60))
    assert [step.partial is not None for step in steps] == [True] + [False] * 8
