"""The exercises on putting a batch together: semi-hard triplets, triplets from filtered lists, tokens of a span."""

import torch
from torch import Tensor

from clt.checks._algorithm import Algorithm, returned
from clt.checks._common import tensor
from clt.checks._compare import numbers
from clt.checks._exercise import Mistake, Unexpected, case
from clt.similarity import squared_euclidean


def semi_hard_mining(distance: Tensor, labels: Tensor) -> Tensor:
    """``(T, 3)``: anchor, positive and negative of each positive pair, the nearest negative farther than the positive.

    Where no negative is farther, the farthest one.
    """
    return plain_semi_hard(distance, labels)


def plain_semi_hard(distance, labels, *, wrong=frozenset()):
    triplets, n = [], len(labels)
    for a in range(n):
        negatives = [k for k in range(n) if labels[k] != labels[a] or ("any negative" in wrong and k != a)]
        for p in range(a + 1 if "half" in wrong else 0, n):
            if labels[p] != labels[a] or (p == a and "itself" not in wrong):
                continue
            limit, row = 0 if "hard" in wrong else distance[a, p].item(), distance[a].tolist()
            farther = [k for k in negatives if row[k] > limit or ("not nearer" in wrong and row[k] == limit)]
            if not farther and "pairs dropped" in wrong:
                continue
            easy = "easy" in wrong or (not farther and "fallback hardest" not in wrong)
            chosen = (max if easy else min)(farther or negatives, key=row.__getitem__)
            triplets.append((p, a, chosen) if "exchanged" in wrong else (a, p, chosen))
    return torch.tensor(triplets)


def triplets_found(answer, distance: Tensor, labels: Tensor) -> dict[str, object]:
    found = numbers(returned(answer(distance, labels)))
    if found is None or found.ndim != 2 or found.shape[1] != 3:
        came = "something else" if found is None else f"shape {tuple(found.shape)}"
        raise Unexpected(f"Triplets are rows of three indices, a tensor of shape (T, 3): got {came}.")
    rows = sorted(tuple(int(i) for i in row) for row in found.tolist())
    return {
        "anchors and positives": [row[:2] for row in rows],
        "the negative of each (anchor, positive)": {row[:2]: row[2] for row in rows},
    }


def on_a_line(*places: float) -> Tensor:
    return squared_euclidean(tensor(*([place] for place in places)))


SEMI_HARD_MINING = Algorithm(
    reference=semi_hard_mining,
    plain=plain_semi_hard,
    observe=triplets_found,
    cases=[
        case("points 0, 2.2 of a class, 1, 3, 5 of another", on_a_line(0, 2.2, 1, 3, 5), torch.tensor([4, 4, 7, 7, 7])),
        case("points 0, 4 of one class, 1, 3 of another: no negative is farther", on_a_line(0, 4, 1, 3),
             torch.tensor([0, 0, 1, 1])),
        case("a negative exactly as far as the positive", on_a_line(0, 2, -2, 3.5, 9), torch.tensor([0, 0, 1, 2, 2])),
        case("three classes, one of them alone", on_a_line(0, 0.5, 1.2, 2, 2.1, 4.3, 7.7),
             torch.tensor([0, 1, 0, 1, 0, 2, 1])),
    ],
    mistakes=[
        Mistake("hard", "These are the nearest negatives of all: hard mining.",
                "Semi-hard leaves out the negatives that are nearer than the positive."),
        Mistake("easy", "These are the farthest negatives.", "Of those farther than the positive take the nearest."),
        Mistake("not nearer", "A negative exactly as far as the positive is taken.", "It has to be farther."),
        Mistake("pairs dropped", "Pairs without a farther negative are dropped.",
                "They get the farthest negative there is."),
        Mistake("fallback hardest", "Where no negative is farther than the positive, the nearest one is taken.",
                "Take the farthest there is: it is the next best to semi-hard."),
        Mistake("any negative", "A row of the anchor's own class serves as a negative.",
                "A negative has another label than the anchor."),
        Mistake("itself", "The anchor counts as its own positive.", "Positives share the label and are another row."),
        Mistake("half", "Each pair is used in one direction only.", "Both members are anchors, each with the other."),
        Mistake("exchanged", "Anchor and positive have changed places, and the negative was chosen for the other.",
                "The columns are anchor, positive, negative."),
    ],
)  # fmt: skip


def zipped_triplets(premises: list, entailments: list, contradictions: list) -> list[tuple[str, str, str]]:
    """Triplets of sentences whose numbers stand in all three lists, in the order of the premises."""
    return plain_zipped(premises, entailments, contradictions)


def plain_zipped(premises, entailments, contradictions, *, wrong=frozenset()):
    lists = premises, entailments, contradictions
    if "zipped" in wrong or "sorted and zipped" in wrong:
        lists = map(sorted, lists) if "sorted and zipped" in wrong else lists
        return [tuple(sentence for _, sentence in row) for row in zip(*lists, strict=False)]
    first, second, third = map(dict, lists)
    if "exchanged" in wrong:
        second, third = third, second
    order = second if "order of the entailments" in wrong else first
    if "sorted" in wrong:
        order = sorted(order)
    complete = [n for n in order if n in first and n in second and n in third]
    if "gaps filled" in wrong:
        complete = list(order)
    if "numbers kept" in wrong:
        return [((n, first[n]), (n, second[n]), (n, third[n])) for n in complete]
    return [(first.get(n, ""), second.get(n, ""), third.get(n, "")) for n in complete]


def rebuilt(answer, *lists: list) -> dict[str, object]:
    found = returned(answer(*lists))
    try:
        rows = [tuple(row) for row in found]
    except TypeError as error:
        raise Unexpected(f"A list of triplets was expected, got {type(found).__name__}.") from error
    return {"how many triplets": len(rows), "the triplets": rows}


ZIPPED_TRIPLETS = Algorithm(
    reference=zipped_triplets,
    plain=plain_zipped,
    observe=rebuilt,
    cases=[
        case("four premises, one without a contradiction",
             [(1, "a man sleeps"), (2, "it rains"), (3, "a dog runs"), (4, "she sings")],
             [(1, "someone rests"), (2, "it is wet"), (3, "an animal moves"), (4, "there is a song")],
             [(1, "he runs"), (3, "a cat sits"), (4, "she is silent")]),
        case("lists in different orders, each with gaps",
             [(7, "p7"), (3, "p3"), (9, "p9"), (5, "p5"), (8, "p8")],
             [(5, "e5"), (3, "e3"), (7, "e7"), (8, "e8")],
             [(3, "c3"), (9, "c9"), (7, "c7"), (5, "c5")]),
        case("nothing fits", [(1, "p1"), (2, "p2")], [(1, "e1")], [(2, "c2")]),
    ],
    mistakes=[
        Mistake("zipped", "The lists are zipped as they are: after the first gap no triplet belongs together.",
                "Match by number; a place in a filtered list means nothing."),
        Mistake("sorted and zipped", "The lists are sorted and zipped: the first gap still shifts all that follow.",
                "Match by number, and keep the numbers that all three lists have."),
        Mistake("gaps filled", "Incomplete triplets are kept, with nothing in the gap.",
                "Keep the numbers that all three lists have."),
        Mistake("exchanged", "Entailment and contradiction have changed places.",
                "The positive is second, the hard negative third."),
        Mistake("order of the entailments", "The triplets come in the order of the entailments.",
                "Go through the premises: their order is the one asked for."),
        Mistake("sorted", "The triplets are sorted by number.", "Go through the premises as they come."),
        Mistake("numbers kept", "The numbers are still there.", "A triplet is three sentences."),
    ],
)  # fmt: skip


def span_tokens(offsets: list[tuple[int, int]], start: int, end: int) -> list[int]:
    """Which tokens hold characters ``start`` to ``end`` (exclusive) of a text; special tokens hold none: (0, 0)."""
    return plain_span(offsets, start, end)


def plain_span(offsets, start, end, *, wrong=frozenset()):
    if "words counted" in wrong:
        return list(range(start, end))
    found = []
    for i, (first, last) in enumerate(offsets):
        if first == last and "special tokens" not in wrong:
            continue
        inside = first >= start and last <= end if "whole tokens only" in wrong else first < end and last > start
        if "end included" in wrong:
            inside = first <= end and last > start
        if "start touched" in wrong:
            inside = first < end and last >= start
        if inside or ("special tokens" in wrong and first == last):
            found.append(i)
    if "ends only" in wrong:
        found = found[:1] + found[1:][-1:]
    return [i - 1 for i in found] if "special tokens not counted" in wrong else found


def tokens_found(answer, *arguments) -> dict[str, object]:
    found = returned(answer(*arguments))
    try:
        return {"the tokens": sorted(int(i) for i in found)}
    except (TypeError, ValueError) as error:
        raise Unexpected(f"A list of token numbers was expected, got {type(found).__name__}.") from error


# [CLS] the un ##fold ##ed map, again [SEP]: characters 0–3, 4–6, 6–10, 10–12, 13–16, 16–17, 18–23
OFFSETS = [(0, 0), (0, 3), (4, 6), (6, 10), (10, 12), (13, 16), (16, 17), (18, 23), (0, 0)]
SPAN_TOKENS = Algorithm(
    reference=span_tokens,
    plain=plain_span,
    observe=tokens_found,
    cases=[
        case("“unfolded” in “the unfolded map, again”, a word of three pieces", OFFSETS, 4, 12),
        case("“folded map”, which begins within a word", OFFSETS, 6, 16),
        case("“fol”, within one piece", OFFSETS, 6, 9),
        case("the first word", OFFSETS, 0, 3),
        case("“d map, aga”, cut at both ends", OFFSETS, 11, 21),
        case("“map”, with the comma behind it left out", OFFSETS, 13, 16),
        case("everything", OFFSETS, 0, 23),
    ],
    mistakes=[
        Mistake("special tokens", "[CLS] and [SEP] are among the tokens.", "Their offset is empty: they hold no text."),
        Mistake("whole tokens only", "Tokens that the span cuts are left out.",
                "A token belongs to the span if they share a character."),
        Mistake("end included", "The token that begins where the span ends is taken.", "The end is exclusive."),
        Mistake("start touched", "The token that ends where the span begins is taken.", "A token's end is exclusive."),
        Mistake("ends only", "Only the first and the last token of the span are there.", "Those between belong to it."),
        Mistake("words counted", "Characters are taken for tokens.", "The offsets say which characters a token holds."),
        Mistake("special tokens not counted", "The numbers are one too small: [CLS] is token 0.",
                "Count all tokens, the special ones too."),
    ],
)  # fmt: skip

EXERCISES = (SEMI_HARD_MINING, ZIPPED_TRIPLETS, SPAN_TOKENS)
