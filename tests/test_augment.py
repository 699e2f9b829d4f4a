"""Augmentations: what they keep, how much they change, what they refuse; and the table of synonyms."""

import json
import random
import re
from collections import Counter
from statistics import fmean

import pytest
import torch
from test_texts import LABEL_WORDS

from clt import augment, data
from clt.augment import (
    crop,
    delete_one_word,
    delete_words,
    element_cutoff,
    feature_cutoff,
    mask_span,
    mask_words,
    reorder_clauses,
    shuffle_positions,
    shuffle_words,
    synonym_groups,
    synonyms,
    token_cutoff,
    typos,
)

SENTENCE = "Perhaps the old lady bought a large bicycle (with a bell) and began to smile."
WORDS = SENTENCE.split()
GIVEN = {form for forms in augment._synonym_table().values() for form in forms}
AUGMENTATIONS = [crop, delete_words, delete_one_word, mask_words, mask_span, synonyms, shuffle_words, typos]


def many(augmentation, sentence=SENTENCE, times=400, **options):
    rng = random.Random(0)
    return [augmentation(sentence, rng, **options) for _ in range(times)]


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_the_same_chance_gives_the_same_view(augmentation):
    views = [augmentation(SENTENCE, random.Random(seed)) for seed in (1, 1, *range(2, 12))]
    assert views[0] == views[1]
    assert len(set(views)) > 2


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_no_other_source_of_chance_is_touched(augmentation):
    random.seed(0)
    before = random.getstate(), torch.get_rng_state()
    augmentation(SENTENCE, random.Random(0))
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize(
    "sentence", ["I", "a b", "No!", "  two\n words ", "…", "12 34", "a", "Großmutter naïve", "!? ?"]
)
def test_a_sentence_never_becomes_empty(augmentation, sentence):
    name = {crop: "keep", delete_words: "share", mask_words: "share", synonyms: "share", typos: "share"}
    for extreme in [{}, {name[augmentation]: 1e-9}, {name[augmentation]: 1.0}] if augmentation in name else [{}]:
        for view in many(augmentation, sentence, times=20, **extreme):
            assert view.split(), (sentence, extreme)
            assert view == " ".join(view.split())


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_what_is_no_sentence_is_refused(augmentation):
    rng = random.Random(0)
    for empty in ("", " \n"):
        with pytest.raises(ValueError, match="at least one word"):
            augmentation(empty, rng)
    for wrong in (None, ["a", "b"], b"a b"):
        with pytest.raises(TypeError, match="one sentence as a string"):
            augmentation(wrong, rng)
    for wrong in (0, None, torch.Generator()):
        with pytest.raises(TypeError, match=r"random\.Random"):
            augmentation(SENTENCE, wrong)


@pytest.mark.parametrize("augmentation", [delete_words, mask_words, synonyms, typos])
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(augmentation, share):
    with pytest.raises(ValueError, match="share should be 0 to 1"):
        augmentation(SENTENCE, random.Random(0), share=share)


@pytest.mark.parametrize("augmentation", [delete_words, mask_words, synonyms, typos])
def test_nothing_of_a_sentence_is_the_sentence(augmentation):
    assert set(many(augmentation, share=0.0, times=20)) == {SENTENCE}


@pytest.mark.parametrize("keep", [0.0, -1, 1.5, float("nan")])
def test_crop_refuses_what_is_no_share_to_keep(keep):
    with pytest.raises(ValueError, match="keep should be above 0"):
        crop(SENTENCE, random.Random(0), keep=keep)


@pytest.mark.parametrize("keep", [1.0, 0.9, 0.5, 0.05])
def test_crop_is_a_stretch_of_the_right_length(keep):
    views = many(crop, keep=keep)
    for view in views:
        assert f" {view} " in f" {SENTENCE} "
        assert abs(len(view.split()) - max(1, keep * len(WORDS))) < 1
    assert fmean(len(view.split()) for view in views) == pytest.approx(max(1, keep * len(WORDS)), abs=0.1)
    starts = {view.split()[0] for view in views}
    assert len(starts) == (1 if keep == 1 else len(set(WORDS[: len(WORDS) - int(keep * len(WORDS)) + 1])))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.95, 1.0])
def test_deleted_words_are_as_many_as_asked_and_the_rest_keeps_its_order(share):
    views = [view.split() for view in many(delete_words, share=share)]
    for view in views:
        left = iter(WORDS)
        assert all(word in left for word in view), "a subsequence"
    assert fmean(map(len, views)) == pytest.approx(max(1, (1 - share) * len(WORDS)), abs=0.1)
    assert {word for view in views for word in view} == set(WORDS), "any word may stay"


def test_delete_one_word_deletes_one_word():
    views = set(many(delete_one_word))
    assert views == {" ".join(WORDS[:i] + WORDS[i + 1 :]) for i in range(len(WORDS))}
    assert delete_one_word("Alone.", random.Random(0)) == "Alone."


@pytest.mark.parametrize("mask", ["[MASK]", "<mask>"])
def test_masked_words_leave_their_place_and_punctuation(mask):
    views = [view.split() for view in many(mask_words, share=0.4, mask=mask)]
    for view in views:
        assert len(view) == len(WORDS)
        for old, new in zip(WORDS, view, strict=True):
            assert new in (old, re.sub(r"\w+", lambda _: mask, old))
    hidden = fmean(sum(mask in word for word in view) for view in views)
    assert hidden == pytest.approx(0.4 * len(WORDS), abs=0.15)
    assert {f"({mask}", f"{mask})", f"{mask}."} <= {word for view in views for word in view}
    assert all(view.count(mask) < 3 for view in many(mask_words, "a b c", share=1.0, mask=mask)), "one word stays"


def test_shuffled_words_are_the_same_words():
    views = many(shuffle_words)
    assert all(Counter(view.split()) == Counter(WORDS) for view in views)
    assert len({view.split()[0] for view in views}) == len(set(WORDS))


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_typos_hurt_the_share_of_the_words_that_was_asked_for(share):
    """Each hurt word is one slip away; the sentence has one word of one letter, twice."""
    views = [view.split() for view in many(typos, share=share)]
    hurt = [sum(old != new for old, new in zip(WORDS, view, strict=True)) for view in views]
    assert fmean(hurt) == pytest.approx(min(share * len(WORDS), sum(len(word) > 1 for word in WORDS)), abs=0.15)
    for view in views:
        for old, new in zip(WORDS, view, strict=True):
            assert old == new or is_one_slip(old, new), (old, new)
    lengths = Counter(len(new) - len(old) for view in views for old, new in zip(WORDS, view, strict=True) if old != new)
    assert set(lengths) == {-1, 0, 1}, "dropped, swapped or beside, doubled"


def is_one_slip(old: str, new: str) -> bool:
    shortened = lambda text: {text[:i] + text[i + 1 :] for i in range(len(text))}
    swapped = {old[:i] + old[i + 1] + old[i] + old[i + 2 :] for i in range(len(old) - 1)}
    beside = len(old) == len(new) and sum(a != b for a, b in zip(old, new, strict=True)) == 1
    return new in shortened(old) | swapped or old in shortened(new) or beside


def test_a_key_beside_is_a_neighbour_of_its_own_case():
    for word in ("Qa", "PL"):
        for view in many(typos, word, share=1.0):
            for old, new in zip(word, view, strict=False):
                if len(view) == 2 and old != new and view != word[::-1]:
                    row = next(row for row in augment.KEYS if old.lower() in row)
                    assert abs(row.index(old.lower()) - row.index(new.lower())) == 1
                    assert old.isupper() == new.isupper()


def test_synonyms_keep_inflection_capital_punctuation_and_article():
    views = many(synonyms, share=1.0)
    assert {view.split()[0] for view in views} == {"Maybe", "Possibly"}
    assert all(" started to grin." in view for view in views)
    assert all(" purchased " in view for view in views)
    enormous = many(synonyms, "A huge dog had a strange look.", share=1.0)
    assert {view.split(" dog ")[0] for view in enormous} == {"An enormous", "A gigantic", "A massive"}
    assert {view.split(" had ")[1] for view in enormous} == {"an odd look.", "a weird look.", "a peculiar look."}
    assert set(many(synonyms, "It has begun.")) == {"It has started."}
    assert set(many(synonyms, "It started.")) == {"It started."}, "began or begun: the table cannot know"


def test_synonyms_exchange_the_share_of_all_words_and_at_least_one():
    sentence = "Perhaps somebody bought the huge parcel, because someone almost purchased it."

    def changed(view: str) -> int:
        return sum(old != new for old, new in zip(sentence.split(), view.split(), strict=True))

    assert {changed(view) for view in many(synonyms, sentence, share=0.4)} == {4, 5}, "4.4 of 11"
    assert {changed(view) for view in many(synonyms, sentence, share=1.0)} == {8}, "all that the table knows"
    assert {changed(view) for view in many(synonyms, sentence, share=0.001)} == {1}
    assert set(many(synonyms, "The of and.", share=1.0)) == {"The of and."}, "nothing to exchange"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Because of ash in the air, planes stayed down.", "Planes stayed down because of ash in the air."),
        ("The cake sank because I opened the oven.", "Because I opened the oven, the cake sank."),
        ("It is valid although nobody signed it.", "Although nobody signed it, it is valid."),
        ("Before they fight, both girls greet each other.", "Both girls greet each other before they fight."),
        ("She sold her car and now borrows one when she needs it.", None),  # needs it: when she borrows
        ("He asked me if the train had left.", None),  # no condition
        ("Dad shouted because the dog barked.", None),  # Dad keeps his capital
        ("It rained. We stayed in because of that.", None),
        ("The shop, they say, closed because of debts.", None),
        ("Who left when the lights went out?", None),
    ],
)
def test_clauses_change_places_only_where_the_rule_is_safe(before, after):
    rng = random.Random(0)
    assert reorder_clauses(before, rng) == (after or before)
    assert rng.getstate() == random.Random(0).getstate()


def test_names_are_left_alone():
    for sentence in ("It was Mr Baker and Miss Torch.", "We met Rich Stone.", "In the USA, TORCH is a firm."):
        for view in many(synonyms, sentence, times=20):
            assert [word for word in view.split() if word[0].isupper()] == [
                w for w in sentence.split() if w[0].isupper()
            ]
    assert set(many(synonyms, "Then I'll go.")) == {"Then I will go."}, "nor is I"
    assert set(many(synonyms, "No. Somebody left.")) == {"No. Someone left."}, "a capital after a full stop is no name"


@pytest.mark.parametrize("length", [0, 1, 5, 30, 500])
def test_a_masked_span_is_one_stretch_of_characters(length):
    views = many(mask_span, length=length, mask="<m>")
    hidden = min(length, len(SENTENCE) - 1)
    if not length:
        assert set(views) == {SENTENCE}
        return
    for view in views:
        before, after = view.split("<m>")
        assert SENTENCE.startswith(before)
        assert SENTENCE.endswith(after)
        assert len(before) + len(after) == len(SENTENCE) - hidden
    starts = {len(view.split("<m>")[0]) for view in views}
    assert starts <= set(range(len(SENTENCE) - hidden + 1))
    assert len(starts) > 0.9 * (len(SENTENCE) - hidden + 1)


@pytest.mark.parametrize("length", [-1, 2.0, None])
def test_a_span_has_a_length(length):
    with pytest.raises(ValueError, match="length should be an integer of at least 0"):
        mask_span(SENTENCE, random.Random(0), length=length)


def test_synonym_groups_are_words_that_can_stand_for_each_other():
    groups = synonym_groups()
    assert ["begin", "start"] in groups
    assert all(len(group) > 1 and all(group) for group in groups)
    assert len(groups) > 400


@pytest.fixture(scope="module")
def table():
    return json.loads((data.data_dir() / "synonyms.json").read_text(encoding="utf-8"))


def test_the_table_of_synonyms_is_well_formed(table):
    """Groups of aligned forms; a word that is replaced stands in one group, so that its meaning is the group's."""
    forms = {"verbs": {5}, "nouns": {1, 2}, "adjectives": {1, 3}, "others": {1}}
    only = table.pop("only as replacement")
    assert only == sorted(set(only))
    assert sum(map(len, table.values())) >= 400
    assert set(table) == set(forms)
    groups = [(kind, group) for kind in table for group in table[kind]]
    places = Counter()
    for kind, group in groups:
        assert len(group) >= 2
        assert {len(word) for word in group} <= forms[kind], group
        assert len({len(word) for word in group}) == 1, group
        assert len({word[0] for word in group}) == len(group), group
        places.update({form for word in group for form in word if form})
    assert [form for form, count in places.items() if count > 1 and form not in only] == []
    assert set(only) <= set(places), "listed, and not in the table"
    assert all(" " not in form or form in only for form in places), "what is looked up is one word"
    assert all(re.fullmatch(r"[a-z]+([ '-][a-z]+)*", form) for form in places)


def test_no_replacement_needs_an_exception_for_its_article():
    """*a* or *an* goes by the first letter; so no silent h, no "yoo", no "one"."""
    exceptions = re.compile(r"(hour|hono|heir|uni|us(e|u)|eu|ewe|one\b|once|ufo|ute|uran|ubi)")
    assert [form for form in GIVEN if exceptions.match(form)] == []


def test_no_synonym_gives_a_label_of_emotions_away():
    """The texts of ``emotions`` do without the words of their labels; an augmentation must not put them in."""
    for label, stems in LABEL_WORDS.items():
        named = re.compile(rf"\b(?:un|en|over|dis|mis)?(?:{stems})")
        assert [form for form in GIVEN if named.search(form)] == [], label


def test_many_sentences_of_the_course_have_a_word_to_exchange():
    texts = [row["sentence1"] for row in data.load("sts", "train")] + [
        row["text"] for row in data.load("emotions", "dev")
    ]
    changed = fmean(synonyms(text, random.Random(0)) != text for text in texts)
    assert 0.4 < changed < 1.0


def tokens(lengths, width=8, size=10):
    mask = torch.arange(width) < torch.tensor(lengths).unsqueeze(1)
    return torch.ones(len(lengths), width, size), mask.long()


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 1.0])
def test_token_cutoff_erases_whole_tokens_and_no_padding(share):
    lengths = [8, 5, 1] * 200
    x, mask = tokens(lengths)
    y = token_cutoff(x, mask, torch.Generator().manual_seed(0), share=share)
    gone = (y == 0).all(-1)
    assert torch.equal(gone, (y == 0).any(-1)), "a token goes whole"
    assert torch.equal(y[~gone], x[~gone]), "the rest is as it was"
    assert not (gone & ~mask.bool()).any()
    for length in (8, 5, 1):
        chosen = gone[torch.tensor(lengths) == length].sum(1).float()
        assert chosen.max() <= length - 1, "one token stays"
        assert chosen.mean().item() == pytest.approx(min(share * length, length - 1), abs=0.12)
    if 0 < share < 1:
        assert gone[::3].any(0).all(), "any token may go"


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_feature_cutoff_erases_whole_dimensions_of_each_sentence(share):
    x, mask = tokens([8, 5, 1] * 50)
    y = feature_cutoff(x, mask, torch.Generator().manual_seed(0), share=share)
    gone = (y == 0).all(1)
    assert torch.equal(gone, (y == 0).any(1)), "a dimension goes for all tokens"
    assert (gone.sum(1) == min(round(share * 10), 9)).all()
    if share == 0.2:
        assert gone.any(0).all()
        assert len({tuple(row.tolist()) for row in gone}) > 10, "each sentence has dimensions of its own"


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_element_cutoff_erases_numbers_anywhere_but_in_the_padding(share):
    lengths = [8, 5, 1] * 50
    x, mask = tokens(lengths)
    y = element_cutoff(x, mask, torch.Generator().manual_seed(0), share=share)
    gone = y == 0
    assert not (gone & ~mask.bool().unsqueeze(-1)).any()
    wanted = [min(round(share * length * 10), length * 10 - 1) for length in lengths]
    assert gone.flatten(1).sum(1).tolist() == wanted
    if share == 0.2:
        assert gone[::3].any(0).all(), "any number may go"


def test_shuffled_positions_are_a_permutation_of_the_real_tokens():
    lengths = [8, 5, 1] * 60
    _, mask = tokens(lengths)
    positions, again = (shuffle_positions(mask, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(positions, again)
    for row, length in zip(positions.tolist(), lengths, strict=True):
        assert sorted(row[:length]) == list(range(length))
        assert row[length:] == list(range(length, 8)), "the padding stays"
    assert len({tuple(row) for row in positions[::3].tolist()}) > 50
    with pytest.raises(ValueError, match=r"\(B, L\), got \(8,\)"):
        shuffle_positions(mask[0], torch.Generator())
    with pytest.raises(ValueError, match="no token"):
        shuffle_positions(mask * 0, torch.Generator())
    with pytest.raises(TypeError, match=r"torch\.Generator"):
        shuffle_positions(mask, random.Random(0))


@pytest.mark.parametrize("cutoff", [token_cutoff, feature_cutoff, element_cutoff])
def test_cutoffs_give_a_copy_with_a_gradient(cutoff):
    x, mask = tokens([8, 5])
    x.requires_grad_(True)
    y, again = (cutoff(x, mask, torch.Generator().manual_seed(3), share=0.5) for _ in range(2))
    assert torch.equal(y, again)
    assert not torch.equal(y, cutoff(x, mask, torch.Generator().manual_seed(4), share=0.5))
    y.sum().backward()
    assert torch.equal(x.grad, (y != 0).float())
    assert (x == 1).all()
    state = torch.get_rng_state()
    assert cutoff(x.detach().half(), mask.bool(), torch.Generator()).dtype is torch.float16
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("cutoff", [token_cutoff, feature_cutoff, element_cutoff])
def test_cutoffs_refuse_what_does_not_fit(cutoff):
    x, mask = tokens([8, 5])
    generator = torch.Generator()
    for wrong, error, message in [
        ((x[0], mask, generator), ValueError, r"\(B, L, D\) .* got \(8, 10\)"),
        ((x, mask[:, :3], generator), ValueError, r"got \(2, 8, 10\) and \(2, 3\)"),
        ((x, mask * 0, generator), ValueError, "no token"),
        ((x.long(), mask, generator), TypeError, "floating point"),
        ((x, mask, random.Random(0)), TypeError, r"torch\.Generator, got Random"),
    ]:
        with pytest.raises(error, match=message):
            cutoff(*wrong)
    with pytest.raises(ValueError, match="share should be 0 to 1, got 2"):
        cutoff(x, mask, generator, share=2)


def test_a_cutoff_can_stand_between_embeddings_and_layers(tiny_folder):
    """As the lessons use it: a hook on the embedding layer of an encoder."""
    from clt.encoders import SentenceEncoder

    encoder = SentenceEncoder.load(tiny_folder).eval()
    batch = encoder.tokenize(["The cat sat on the mat.", "A dog ran."])
    plain = encoder(batch)
    generator = torch.Generator().manual_seed(0)
    cut = lambda module, inputs, output: feature_cutoff(output, batch["attention_mask"], generator)
    with encoder.model.embeddings.register_forward_hook(cut):
        assert not torch.allclose(encoder(batch), plain, atol=1e-3)
    assert torch.equal(encoder(batch), plain)
