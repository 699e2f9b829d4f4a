"""Predicting text: masks, infilling, replaced tokens, what knowing their rate is worth, and noise that is not rare."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from clt import losses
from clt.checks import labs
from clt.checks._algorithm import Algorithm, Derivation, result, returned
from clt.checks._common import REDUCTION, mistakes, random
from clt.checks._compare import Counts
from clt.checks._exercise import Mistake, Unexpected, case
from clt.checks._experiment import Experiment
from clt.checks._loss import Loss
from clt.predicting import MASK
from clt.results import number

# ---- BERT's masks


def mask_tokens(ids: Tensor, rate: float, pieces: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What the network reads, and which ids it has to predict: of those 80 % [MASK], 10 % any piece, 10 % kept."""
    return plain_masks(ids, rate, pieces, generator)


def plain_masks(ids, rate, pieces, generator, *, wrong=frozenset()):
    generator = torch.Generator().manual_seed(0) if "always the same" in wrong else generator
    generator = None if "generator ignored" in wrong else generator
    rate = 0.15 if "rate fixed" in wrong else rate
    draw = torch.rand(ids.shape, generator=generator)
    chosen = draw > rate if "rate kept" in wrong else draw < rate
    if "special chosen" not in wrong:
        chosen = chosen & (ids > MASK)
    fate = torch.rand(ids.shape, generator=generator)
    noise = torch.randint(0 if "special noise" in wrong else MASK + 1, pieces, ids.shape, generator=generator)
    masked, random_ = (1.0, 2.0) if "always masked" in wrong else (0.8, 2.0) if "never random" in wrong else (0.8, 0.9)
    random_ = 0.8 if "never kept" in wrong else random_
    hidden = torch.where(chosen & (fate < masked), MASK, ids)
    hidden = torch.where(chosen & (fate >= random_), noise, hidden)
    if "kept not predicted" in wrong:
        chosen = hidden != ids
    if "changed in place" in wrong:
        ids.copy_(hidden)
        return ids, chosen
    return (hidden, ~chosen) if "the others" in wrong else (hidden, chosen)


def masked(answer, ids: Tensor, rate: float, pieces: int) -> dict[str, object]:
    def draw(seed: int) -> tuple[Tensor, Tensor]:
        try:
            hidden, chosen = returned(answer(ids, rate, pieces, torch.Generator().manual_seed(seed)))
        except (TypeError, ValueError) as error:
            if isinstance(error, TypeError) and "NoneType" not in str(error) and "unpack" not in str(error):
                raise
            raise Unexpected("Two tensors were expected: the hidden ids, and which are to be predicted.") from error
        if not isinstance(chosen, Tensor) or chosen.dtype != torch.bool or chosen.shape != ids.shape:
            raise Unexpected(f"The second tensor should be bool, of the shape of ids, {tuple(ids.shape)}.")
        if not isinstance(hidden, Tensor) or hidden.shape != ids.shape:
            raise Unexpected(f"The first tensor should have the shape of ids, {tuple(ids.shape)}.")
        return hidden, chosen

    before = ids.clone()
    hidden, chosen = draw(0)
    if not torch.equal(ids, before):
        return {"its inputs stay as they were": "It changed the ids in place, and they are the targets"}
    real = before > MASK
    same, other = torch.equal(draw(1)[0], draw(1)[0]), not torch.equal(draw(1)[0], draw(2)[0])
    touched = (hidden != before) & ~chosen
    new = chosen & (hidden != before) & (hidden != MASK)
    return {
        "its inputs stay as they were": "",
        "special pieces are never chosen": "A special piece is to be predicted" if (chosen & ~real).any() else "",
        "every piece of a text may be chosen": sorted(set(before[chosen].tolist())),
        "what is not chosen stays": "A piece was changed that is not to be predicted" if touched.any() else "",
        "how many are chosen": Counts(chosen[real].tolist()),
        "what becomes of the chosen": Counts(
            "[MASK]" if h == MASK else "kept" if h == b else "another piece"
            for h, b in zip(hidden[chosen].tolist(), before[chosen].tolist(), strict=True)
        ),
        "no special piece as noise": "A special piece was put in at random" if (hidden[new] <= MASK).any() else "",
        "every other piece may be noise": sorted(set(hidden[new].tolist())) if pieces < 20 else [],
        "the same generator draws the same": "" if same else "Two generators with one seed hide different pieces",
        "another seed draws others": "" if other else "Two generators with different seeds hide the same pieces",
    }


MASK_TOKENS = Algorithm(
    reference=mask_tokens,
    plain=plain_masks,
    observe=masked,
    cases=[
        case("200 rows of 40 pieces, a rate of 0.15", (torch.arange(8000).reshape(200, 40) * 7) % 60, 0.15, 60),
        case("200 rows of 40 pieces out of 12, a rate of 0.4", (torch.arange(8000).reshape(200, 40) * 7) % 12, 0.4, 12),
    ],
    mistakes=[
        Mistake("special chosen", "Special pieces are chosen as well, padding among them.",
                "Only what is above [MASK], number 4, is a piece of a text."),
        Mistake("always masked", "Every chosen piece becomes [MASK].",
                "A tenth is replaced by any piece and a tenth stays: the text at test time has no [MASK]."),
        Mistake("never random", "None of the chosen is replaced by another piece.",
                "80 % [MASK], 10 % a random piece, 10 % as they are."),
        Mistake("never kept", "None of the chosen stays as it is.",
                "80 % [MASK], 10 % a random piece, 10 % as they are."),
        Mistake("kept not predicted", "What was chosen and kept is not predicted.",
                "The network may not know which pieces were tampered with: all that were chosen count."),
        Mistake("special noise", "The random pieces may be special ones.", "Draw them from 5 upwards."),
        Mistake("rate kept", "The rate is the share that is not chosen.", "It is the share to be predicted."),
        Mistake("rate fixed", "The rate is fixed at 0.15.", "It is an argument."),
        Mistake("the others", "The second tensor marks what was not chosen.", "It marks what is to be predicted."),
        Mistake("changed in place", "It changes the ids in place.",
                "They are the targets: work on a copy, or use torch.where."),
        Mistake("generator ignored", "The generator is not used: another run draws others.",
                "Pass it on, generator=generator."),
        Mistake("always the same", "It hides the same pieces whatever generator it is given.",
                "Make no generator of your own: it would hide the same places in every batch."),
    ],
)  # fmt: skip

# ---- BART's infilling


def infill(row: list[int], spans: list[tuple[int, int]], mask: int) -> list[int]:
    """Each span, a start and a length, becomes a single mask; one of length 0 adds a mask before its start."""
    return plain_infill(row, spans, mask)


def plain_infill(row, spans, mask, *, wrong=frozenset()):
    if "from the left" in wrong:
        out = list(row)
        for start, length in spans:
            out[start : start + length] = [mask]
        return out
    out, at = row if "changed in place" in wrong else list(row), len(row)
    for start, length in sorted(spans, reverse=True):
        at = start
        if length == 0 and "empty ignored" in wrong:
            continue
        length = 1 if length == 0 and "empty eats" in wrong else length
        new = [mask] * length if "a mask for each" in wrong else [] if "deleted" in wrong else [mask]
        end = length if "length as end" in wrong else start + length
        end = end + 1 if "end included" in wrong else end
        out[at:end] = new
    return out


INFILL = Algorithm(
    reference=infill,
    plain=plain_infill,
    observe=result,
    cases=[
        case("11 to 16, spans (1, 2) and (4, 1)", [11, 12, 13, 14, 15, 16], [(1, 2), (4, 1)], 4),
        case("11 to 18, spans (0, 3), (4, 0) and (6, 2)", [*range(11, 19)], [(0, 3), (4, 0), (6, 2)], 9),
        case("21 to 24, no span", [21, 22, 23, 24], [], 4),
        case("21 to 24, one span over all", [21, 22, 23, 24], [(0, 4)], 4),
        case("21 to 23, an empty span at the end", [21, 22, 23], [(0, 1), (3, 0)], 4),
    ],
    mistakes=[
        Mistake("a mask for each", "Each hidden piece gets a mask of its own.",
                "One mask for the whole span: how many pieces are missing is part of the puzzle."),
        Mistake("deleted", "The spans are gone without a trace.", "That is deletion: here a mask marks each."),
        Mistake("from the left", "The second span is cut at the wrong place.",
                "The first one has made the row shorter. Go from right to left, or build a new row."),
        Mistake("empty ignored", "An empty span leaves no mask.",
                "A span of length 0 hides nothing, and still a mask is put there."),
        Mistake("empty eats", "An empty span hides a piece.", "Its length is 0: the mask is put before the piece."),
        Mistake("length as end", "The length of a span is taken for its end.", "It ends before start + length."),
        Mistake("end included", "Each span hides one piece too many.", "The pieces are start to start + length − 1."),
        Mistake("changed in place", "It changes the row in place.", "The decoder has to write it: copy it first."),
    ],
)  # fmt: skip

# ---- ELECTRA's loss


def replaced_token_loss(logits: Tensor, replaced: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens that count of the binary cross entropy, replaced being the positive class."""
    return losses.replaced_token_loss(logits, replaced, mask)


def plain_replaced(logits: Tensor, replaced: Tensor, mask: Tensor, *, wrong=frozenset()) -> Tensor:
    y = ~replaced if "labels swapped" in wrong else replaced
    scores = logits.sigmoid() if "sigmoid twice" in wrong else logits
    terms = torch.where(y, torch.nn.functional.softplus(-scores), torch.nn.functional.softplus(scores))
    if "only the replaced" in wrong:
        terms = torch.where(replaced, terms, 0.0)
    if "only the originals" in wrong:
        terms = torch.where(replaced, 0.0, terms)
    if "log missing" in wrong:
        terms = -(-terms).exp()
    if "squared" in wrong:
        terms = (scores.sigmoid() - y.to(scores)).square()
    counts = torch.ones_like(mask) if "padding counts" in wrong else mask
    terms = torch.where(counts, terms, 0.0)
    if "padding in the mean" in wrong:
        return terms.mean()
    if "per text" in wrong:
        return (terms.sum(1) / counts.sum(1)).mean()
    if "classes balanced" in wrong:
        fake, real = (counts & kind for kind in (replaced, ~replaced))
        return (terms[fake].mean() + terms[real].mean()) / 2
    value = terms.sum() if "sum" in wrong else terms.sum() / counts.sum()
    value = -value if "sign" in wrong else value
    return terms.sum(1) / counts.sum(1) if "per row" in wrong else value


def _marks(rows: int, places: int, *at: tuple[int, int]) -> Tensor:
    marks = torch.zeros(rows, places, dtype=torch.bool)
    for row, place in at:
        marks[row, place] = True
    return marks


REPLACED_TOKEN_LOSS = Loss(
    reference=replaced_token_loss,
    plain=plain_replaced,
    cases=[
        case("2 texts of 3 tokens, one of them padding", torch.tensor([[1.0, -2.0, 0.5], [-1.0, 0.5, 3.0]]).double(),
             _marks(2, 3, (0, 0), (1, 1)), ~_marks(2, 3, (1, 2))),
        case("3 texts of 5, 4 and 2 tokens", random(3, 5, seed=1), _marks(3, 5, (0, 1), (0, 4), (1, 3), (2, 0)),
             ~_marks(3, 5, (1, 4), (2, 2), (2, 3), (2, 4))),
        case("2 texts of 7 and 4 tokens", 2 * random(2, 7, seed=2), _marks(2, 7, (0, 2), (1, 0)),
             ~_marks(2, 7, (1, 4), (1, 5), (1, 6))),
    ],
    extremes=[
        case("scores of 200", torch.tensor([[200.0, -200.0, 200.0], [-200.0, 200.0, 50.0]]).double(),
             _marks(2, 3, (0, 0), (1, 0)), ~_marks(2, 3, (1, 2))),
    ],
    mistakes=mistakes(
        Mistake("labels swapped", "The original tokens are the positive class.",
                "A score above 0 means replaced: the label is 1 where the token was replaced."),
        Mistake("padding counts", "Padding takes part.", "The mean is over the tokens that mask marks."),
        Mistake("padding in the mean", "Padding costs nothing, and still counts in the mean.",
                "Divide by the number of tokens that mask marks."),
        Mistake("only the replaced", "Only the replaced tokens cost anything.",
                "Each token is a question of its own: originals must be recognised as well."),
        Mistake("only the originals", "Only the original tokens cost anything.",
                "Each token is a question of its own: those that were replaced must be found as well."),
        Mistake("sigmoid twice", "The sigmoid is applied twice.",
                "The logits are scores: binary_cross_entropy_with_logits has the sigmoid inside."),
        Mistake("squared", "This is a squared error.", "Minus the logarithm of the probability of the right answer."),
        Mistake("per text", "The mean is taken text by text first.",
                "All tokens of the batch count alike: one mean over all of them."),
        Mistake("classes balanced", "Replaced and original tokens are averaged apart, and then together.",
                "One mean over all tokens: the many originals are where most of the signal comes from."),
        "log missing", *REDUCTION,
    ),
    batch_order_free=False,  # rows are texts, and their marks move with them
)  # fmt: skip

# ---- what knowing the rate is worth


def rate_alone(share: float) -> float:
    """The least loss of a discriminator that gives every token one score, if this share of the tokens is replaced."""
    return -share * math.log(share) - (1 - share) * math.log(1 - share)


def plain_rate(share, *, wrong=frozenset()):
    for name, value in {
        "zero": 0.0,
        "log 2": math.log(2),
        "accuracy": 1 - share,
        "errors": share,
        "replaced only": -share * math.log(share),
        "originals only": -(1 - share) * math.log(1 - share),
        "not weighted": -math.log(share) - math.log(1 - share),
        "one logarithm": -math.log(1 - share),
        "sign": share * math.log(share) + (1 - share) * math.log(1 - share),
        "base 2": -share * math.log2(share) - (1 - share) * math.log2(1 - share),
        "crossed": -share * math.log(1 - share) - (1 - share) * math.log(share),
    }.items():
        if name in wrong:
            return value
    return rate_alone(share)


RATE_ALONE = Derivation(
    reference=rate_alone,
    plain=plain_rate,
    cases=[case("a share of 0.1", 0.1), case("a share of 0.15", 0.15), case("a share of 0.3", 0.3)],
    mistakes=[
        Mistake("zero", "A constant cannot be right about both kinds.",
                "It says the same probability of every token. What does each kind pay?"),
        Mistake("log 2", "This is what a score of 0 pays, which says one half of every token.",
                "With fewer fakes than originals another constant pays less."),
        Mistake("accuracy", "This is the accuracy of answering *original* every time.",
                "The loss is asked for: minus the logarithm of the probability of the right answer."),
        Mistake("errors", "This is the share of errors.", "The loss is asked for, a mean of logarithms."),
        Mistake("replaced only", "This is what the replaced tokens pay.", "The originals pay as well."),
        Mistake("originals only", "This is what the originals pay.", "The replaced tokens pay as well."),
        Mistake("not weighted", "The two kinds are not equally frequent.", "Weight each by its share."),
        Mistake("one logarithm", "This is what an original pays.", "Take the mean over both kinds, by their shares."),
        Mistake("sign", "The sign is wrong: this is negative.", "Logarithms of probabilities are; a loss is not."),
        Mistake("base 2", "The logarithm is to base 2.", "The loss has natural logarithms."),
        Mistake("crossed", "Each kind pays for the other's probability.",
                "A replaced token pays −log of the probability of *replaced*, which is best at its share."),
    ],
)  # fmt: skip

# ---- noise that rarity does not give away


def judge_power(answer) -> Iterator[tuple[str, ...]]:
    try:
        power = float(answer)
    except (TypeError, ValueError):
        yield "it is a number", "Hand in one number, such as 0.5."
        return
    fits = 0 <= power <= 3
    yield "it lies between 0 and 3", *(("",) if fits else (f"It is {number(power)}.", "out of range"))
    found = labs.rarity(power)
    says = f"Whoever takes the rarer token for the fake is right in {number(100 * found)} % of pairs."
    kind = "rare fakes" if found > 0.5 else "frequent fakes"
    yield "rarity tells nothing", *(("",) if abs(found - 0.5) < 0.02 else (says, kind))


NOISE_POWER = Experiment(
    name="noise_power",
    reference=1.0,
    judge=judge_power,
    mistakes=[
        Mistake("out of range", "The power should lie between 0 and 3.", "0 is uniform noise; try some around 1.", 7),
        Mistake("rare fakes", "Fakes are rarer than the words of the text, and that gives them away.",
                "A higher power draws more frequent words.", 0.5),
        Mistake("frequent fakes", "Fakes are more frequent than the words of the text, and that gives them away.",
                "A lower power draws rarer words.", 2.0),
    ],
)  # fmt: skip

EXERCISES = (MASK_TOKENS, INFILL, REPLACED_TOKEN_LOSS, RATE_ALONE, NOISE_POWER)
