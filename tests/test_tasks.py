"""The tasks of lesson 17: which labels are drawn, and what is tested on."""

import os

import pytest

from clt import data

public = pytest.mark.skipif(not os.environ.get("CLT_DATA"), reason="the public sets are not here: CLT_DATA is not set")


def test_few_labels_are_as_many_of_each_and_none_is_tested_on():
    train, test = data.labelled("kinds")
    assert len(train) == 5400
    assert len(test) == 600
    assert not set(train) & set(test)
    texts, labels = data.few("kinds", 8, 3)
    assert len(texts) == len(set(texts)) == 48
    assert {labels.count(label) for label in labels} == {8}
    assert set(zip(texts, labels, strict=True)) <= set(train)
    assert data.few("kinds", 8, 3) == (texts, labels)
    assert data.few("kinds", 8, 4) != (texts, labels)


def test_emotions_come_in_eight_groups_and_messages_without_their_emoji():
    for name, classes, tested in (("emotions", 8, 480), ("emoji", 16, 240)):
        train, test = data.labelled(name)
        assert len({label for _, label in train}) == len({label for _, label in test}) == classes
        assert len(test) == tested
    assert not [text for text, emoji in data.labelled("emoji")[0] if emoji in text]
    with pytest.raises(ValueError, match="there is no task"):
        data.labelled("colours")


@public
def test_the_bank_has_sixteen_intents_and_61_others():
    intents, others = data.labelled("intents"), data.labelled("other intents")[0]
    assert len({label for _, label in intents[0]}) == 16
    assert len({label for _, label in others}) == 61
    assert not {text for text, _ in intents[0]} & {text for text, _ in others}
