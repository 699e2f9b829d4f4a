"""What makes a positive: the same sentence once more, a little different.

Two views of one sentence are a positive pair as long as the change leaves the meaning alone. Which changes do, and
which only seem to, is a question with a published answer (Gao, Yao and Chen, 2021, *SimCSE*, table 1) and lesson 4
asks it again. Dropout, the mildest change of all, needs no function: an encoder in training mode never gives the same
vector twice.

On text, each function takes a sentence and a ``random.Random`` and returns a string: words joined by single spaces,
never an empty one. On token vectors, each takes a ``(B, L, D)`` tensor, its mask and a ``torch.Generator``. The same
generator state gives the same view.
"""

import functools
import json
import random
import re

import torch
from torch import Tensor

_CLAUSE = r"(?:(?! and )[^,;:?.])+"
_WHEN = "because|although|while|when|until|unless"
_CLAUSE_FIRST = re.compile(rf"({_WHEN}|if|after|before) ({_CLAUSE}), ({_CLAUSE})\.", re.I)
_CLAUSE_LAST = re.compile(rf"((?:the|an?|he|she|we|it|my|his|her) {_CLAUSE}) ({_WHEN}) ({_CLAUSE})\.", re.I)
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # a finger that slips hits the key to the left or right


def crop(sentence: str, rng: random.Random, *, keep: float = 0.9) -> str:
    """A stretch of neighbouring words: a share ``keep`` of the sentence, starting anywhere.

    Where the share is no whole number of words, it is rounded up or down by chance, so that it holds in the mean for
    short sentences too. At least one word stays.

    Raises:
        TypeError: if ``sentence`` is not a string or ``rng`` not a ``random.Random``.
        ValueError: if the sentence has no word, or ``keep`` is not in (0, 1].

    Source: SimCSE, table 1, "crop": 10 % is ``keep=0.9``. (How the paper rounds is not said.)
    """
    words = _words(sentence, rng)
    if not 0 < keep <= 1:
        raise ValueError(f"keep should be above 0 and at most 1, got {keep}")
    kept = len(words) - _how_many(words, 1 - keep, rng)
    start = rng.randrange(len(words) - kept + 1)
    return " ".join(words[start : start + kept])


def delete_words(sentence: str, rng: random.Random, *, share: float = 0.1) -> str:
    """The sentence without a ``share`` of its words, drawn at random; rounded by chance, as in :func:`crop`.

    At least one word stays. Errors as in :func:`crop`, with ``share`` in [0, 1].

    Source: SimCSE, table 1, "word deletion".
    """
    words = _words(sentence, rng)
    gone = set(rng.sample(range(len(words)), _how_many(words, share, rng)))
    return " ".join(word for i, word in enumerate(words) if i not in gone)


def delete_one_word(sentence: str, rng: random.Random) -> str:
    """The sentence without one of its words; a sentence of one word stays as it is. Errors as in :func:`crop`.

    Source: SimCSE, table 1, "delete one word".
    """
    words = _words(sentence, rng)
    if len(words) > 1:
        del words[rng.randrange(len(words))]
    return " ".join(words)


def mask_words(sentence: str, rng: random.Random, *, share: float = 0.15, mask: str = "[MASK]") -> str:
    """The sentence with a ``share`` of its words hidden behind ``mask``; rounded by chance, as in :func:`crop`.

    Punctuation stays visible, and so does at least one word. ``mask`` should be the tokenizer's ``mask_token``. Errors
    as in :func:`crop`, with ``share`` in [0, 1].

    Source: BERT's pretraining (Devlin et al., 2019, section 3.1). In SimCSE's table 1, "MLM 15 %" goes one step
    further: there BERT fills new words in.
    """
    words = _words(sentence, rng)
    for i in rng.sample(range(len(words)), _how_many(words, share, rng)):
        before, core, after = _parts(words[i])
        words[i] = before + mask + after if core else mask
    return " ".join(words)


def synonyms(sentence: str, rng: random.Random, *, share: float = 0.3) -> str:
    """The sentence with up to a ``share`` of its words, and at least one, exchanged for a word that means the same.

    The words come from the course's own table, ``data/synonyms.json``. A replacement keeps the inflection (*began* →
    *started*), the capital and the punctuation, and *a* or *an* before it is set right. Words that the table lacks,
    that have several meanings, or that look like names stay; with none left to exchange, the sentence is returned as it
    is. ``share=0`` exchanges nothing. Errors as in :func:`crop`, with ``share`` in [0, 1].

    Source: SimCSE, table 1, "synonym replacement", which exchanges one word by WordNet; Suresh and Ong (2021) make the
    second view of the label-aware contrastive loss in this way.
    """
    words = _words(sentence, rng)
    wanted = _how_many(words, share, rng, leave=0)
    table = _synonym_table()
    candidates = [i for i in range(len(words)) if _parts(words[i])[1].lower() in table and not _is_name(words, i)]
    wanted = min(len(candidates), max(wanted, int(share > 0)))
    for i in rng.sample(candidates, wanted):
        before, core, after = _parts(words[i])
        new = rng.choice(table[core.lower()])
        if i and words[i - 1].lower() in ("a", "an"):  # the table has no word with a silent h or a "yoo"
            words[i - 1] = words[i - 1][0] + ("n" if new[0] in "aeiou" else "")
        words[i] = before + (new[0].upper() + new[1:] if core[0].isupper() else new) + after
    return " ".join(words)


def mask_span(sentence: str, rng: random.Random, *, length: int = 5, mask: str = "[MASK]") -> str:
    """The sentence with ``length`` neighbouring characters, blanks among them, exchanged for one ``mask``.

    The stretch starts anywhere, also within a word, as each start is as likely. At least one character stays, so that
    of a short text less is hidden. ``mask`` should be the tokenizer's ``mask_token``. Errors as in :func:`crop`, with
    ``length`` an integer of at least 0, which hides nothing.

    Source: Mirror-BERT (Liu et al., 2021), "random span masking": five characters of a sentence.
    """
    text = " ".join(_words(sentence, rng))
    if not isinstance(length, int) or length < 0:
        raise ValueError(f"length should be an integer of at least 0, got {length!r}")
    length = min(length, len(text) - 1)
    start = rng.randrange(len(text) - length + 1)
    return text if not length else " ".join((text[:start] + mask + text[start + length :]).split())


def synonym_groups() -> list[list[str]]:
    """The course's table of synonyms as groups of words that mean the same, each word in its first form."""
    groups = [group for name, groups in _stored_synonyms().items() if name != "only as replacement" for group in groups]
    return [[word[0] for word in group if word[0]] for group in groups]


def reorder_clauses(sentence: str, rng: random.Random) -> str:
    """The sentence with main and subordinate clause exchanged: *Because A, B.* ↔ *B because A.*

    Only where a rule of thumb is safe: one sentence of two clauses, no *and* in either, no other comma; a clause moves
    to the front if the main clause begins with an article or a pronoun. Any other sentence is returned as it is.
    Nothing is drawn: ``rng`` is taken so that one view can stand for another. Errors as in :func:`crop`.
    """
    text = " ".join(_words(sentence, rng))
    if found := _CLAUSE_FIRST.fullmatch(text):
        word, clause, main = found.groups()
        return f"{main[0].upper()}{main[1:]} {word.lower()} {clause}."
    if found := _CLAUSE_LAST.fullmatch(text):
        main, word, clause = found.groups()
        return f"{word.capitalize()} {clause}, {main[0].lower()}{main[1:]}."
    return text


def shuffle_words(sentence: str, rng: random.Random) -> str:
    """All words in random order, each with the punctuation that clings to it. Errors as in :func:`crop`.

    Source: ConSERT (Yan et al., 2021), "token shuffling", which shuffles the position numbers of the tokens instead.
    """
    words = _words(sentence, rng)
    rng.shuffle(words)
    return " ".join(words)


def typos(sentence: str, rng: random.Random, *, share: float = 0.3) -> str:
    """The sentence with a slip of the finger in a ``share`` of its words; rounded by chance, as in :func:`crop`.

    A slip swaps two neighbouring letters, drops one, doubles one, or hits the key beside it. Words of fewer than two
    letters are never hurt. Errors as in :func:`crop`, with ``share`` in [0, 1].
    """
    words = _words(sentence, rng)
    candidates = [i for i, word in enumerate(words) if sum(map(str.isalpha, word)) > 1]
    for i in rng.sample(candidates, min(len(candidates), _how_many(words, share, rng, leave=0))):
        words[i] = _hurt(words[i], rng)
    return " ".join(words)


def token_cutoff(tokens: Tensor, attention_mask: Tensor, generator: torch.Generator, *, share: float = 0.15) -> Tensor:
    """A copy of ``tokens`` in which a ``share`` of each sentence's tokens is zero, in all dimensions.

    Meant for what the embedding layer of an encoder returns. Padding does not count; at least one token of each
    sentence stays; rounded by chance, as in :func:`crop`. The rest is not rescaled.

    Args:
        tokens: ``(B, L, D)``, any device and floating type; gradients pass through what stays.
        attention_mask: ``(B, L)``, 1 for a token and 0 for padding.
        generator: the source of chance, on any device.
        share: of the tokens to erase, in [0, 1].

    Raises:
        TypeError: if ``tokens`` is not floating point or ``generator`` not a ``torch.Generator``.
        ValueError: if the shapes do not fit, a sentence has no token, or ``share`` is out of range.

    Source: ConSERT (Yan et al., 2021), section 3.2, "token cutoff", after Shen et al. (2020).
    """
    _check_tokens(tokens, attention_mask, generator, share)
    real = attention_mask.bool()
    length = real.sum(1)
    erased = (length * share + _uniform(generator, tokens, len(tokens))).floor().clamp(max=length - 1)
    order = _uniform(generator, tokens, *real.shape).masked_fill(~real, 2.0).argsort(1)  # random, the padding last
    rank = order.argsort(1)
    return tokens.masked_fill((rank < erased.unsqueeze(1)).unsqueeze(-1), 0.0)


def feature_cutoff(tokens: Tensor, attention_mask: Tensor, generator: torch.Generator, *, share: float = 0.2) -> Tensor:
    """A copy of ``tokens`` in which a ``share`` of the D dimensions is zero, for all tokens of a sentence.

    Each sentence loses dimensions of its own, and keeps at least one. Arguments and errors as in :func:`token_cutoff`,
    so that one can stand for the other; the mask is checked, and padding treated like the rest.

    Source: ConSERT (Yan et al., 2021), section 3.2, "feature cutoff"; its released code erases 20 %.
    """
    _check_tokens(tokens, attention_mask, generator, share)
    draw = _uniform(generator, tokens, len(tokens), tokens.shape[2])
    erased = min(round(share * tokens.shape[2]), tokens.shape[2] - 1)
    return tokens.masked_fill((draw.argsort(1).argsort(1) < erased).unsqueeze(1), 0.0)


def element_cutoff(tokens: Tensor, attention_mask: Tensor, generator: torch.Generator, *, share: float = 0.2) -> Tensor:
    """A copy of ``tokens`` in which a ``share`` of each sentence's L · D numbers is zero, wherever they stand.

    Dropout on one layer, but with a fixed number of zeros and without rescaling the rest. Padding does not count.
    Arguments and errors as in :func:`token_cutoff`, so that one can stand for the other.

    Source: ConSERT (Yan et al., 2021), "dropout" of the embedding matrix; its released code erases 20 %.
    """
    _check_tokens(tokens, attention_mask, generator, share)
    real = attention_mask.bool().unsqueeze(-1).expand_as(tokens).flatten(1)
    erased = (real.sum(1) * share).round().clamp(max=real.sum(1) - 1)
    draw = _uniform(generator, tokens, *real.shape).masked_fill(~real, 2.0)  # the padding last
    rank = draw.argsort(1).argsort(1)
    return tokens.masked_fill((rank < erased.unsqueeze(1)).view_as(tokens), 0.0)


def shuffle_positions(attention_mask: Tensor, generator: torch.Generator) -> Tensor:
    """Position numbers ``(B, L)`` in random order, for an encoder that takes ``position_ids``.

    The tokens of each sentence, those that mark its ends included, exchange their positions; the tokens themselves and
    the padding stay where they are.

    Args:
        attention_mask: ``(B, L)``, 1 for a token and 0 for padding at the end.
        generator: the source of chance, on any device.

    Raises:
        TypeError: if ``generator`` is not a ``torch.Generator``.
        ValueError: if the mask is not ``(B, L)``, or a sentence has no token.

    Source: ConSERT (Yan et al., 2021), section 3.2, "token shuffling".
    """
    if attention_mask.ndim != 2:
        raise ValueError(f"expected an attention_mask (B, L), got {tuple(attention_mask.shape)}")
    _check_tokens(attention_mask.unsqueeze(-1).float(), attention_mask, generator, 0.0)
    real = attention_mask.bool()
    draw = _uniform(generator, attention_mask, *real.shape).masked_fill(~real, 2.0)
    return draw.argsort(dim=1, stable=True).argsort(dim=1)


def _words(sentence: str, rng: random.Random) -> list[str]:
    if not isinstance(sentence, str):
        raise TypeError(f"expected one sentence as a string, got {type(sentence).__name__}")
    if not isinstance(rng, random.Random):
        raise TypeError(f"expected a random.Random as the second argument, got {type(rng).__name__}")
    words = sentence.split()
    if not words:
        raise ValueError(f"a sentence needs at least one word, got {sentence!r}")
    return words


def _how_many(words: list[str], share: float, rng: random.Random, *, leave: int = 1) -> int:
    """``share`` of the words, rounded up or down by chance so that the mean is exact; ``leave`` words are left over."""
    if not 0 <= share <= 1:
        raise ValueError(f"share should be 0 to 1, got {share}")
    return min(int(share * len(words) + rng.random()), len(words) - leave)


def _parts(word: str) -> tuple[str, str, str]:
    """What stands before, is, and stands after the word proper: ``("(", "don't", ").")``."""
    return re.fullmatch(r"(\W*)(.*?)(\W*)", word, re.DOTALL).groups()


def _is_name(words: list[str], i: int) -> bool:
    """Whether a word has a capital without being the first of a sentence."""
    core = _parts(words[i])[1]
    first = i == 0 or words[i - 1].rstrip("\"'”’)").endswith((".", "!", "?", ":", "…")) or core.startswith("I'")
    return core[:1].isupper() and (not first or core[1:].isupper())


@functools.cache
def _synonym_table() -> dict[str, list[str]]:
    """For each word form the forms that can replace it, from ``data/synonyms.json``."""
    table = _stored_synonyms()
    only = set(table.pop("only as replacement"))
    found = {}
    for group in (group for groups in table.values() for group in groups):
        for word in group:  # its forms, in the same order as those of the other words in the group
            for form in {*word} - only - {None}:
                slots = [i for i, own in enumerate(word) if own == form]  # "started": past, and participle
                others = [{other[i] for i in slots} for other in group if other is not word]
                fitting = [other.pop() for other in others if len(other) == 1]  # began or begun? then neither
                if fitting := [other for other in fitting if other]:
                    found[form] = fitting
    return found


def _stored_synonyms() -> dict[str, list]:
    from clt.data import data_dir

    return json.loads((data_dir() / "synonyms.json").read_text(encoding="utf-8"))


def _hurt(word: str, rng: random.Random) -> str:
    letters = [i for i, character in enumerate(word) if character.isalpha()]
    while True:
        i = rng.choice(letters)
        kind = rng.choice(("swap", "drop", "double", "beside"))
        if kind == "swap" and i + 1 in letters:
            new = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        elif kind == "drop":
            new = word[:i] + word[i + 1 :]
        elif kind == "double":
            new = word[:i] + word[i] + word[i:]
        else:
            row = next((row for row in KEYS if word[i].lower() in row), word[i].lower())
            place = row.index(word[i].lower())
            key = rng.choice(row[max(0, place - 1) : place] + row[place + 1 : place + 2] or row)
            new = word[:i] + (key.upper() if word[i].isupper() else key) + word[i + 1 :]
        if new != word:  # "oo" swapped is "oo"
            return new


def _uniform(generator: torch.Generator, tokens: Tensor, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator, device=generator.device).to(tokens.device)


def _check_tokens(tokens: Tensor, attention_mask: Tensor, generator: torch.Generator, share: float) -> None:
    if not tokens.is_floating_point():
        raise TypeError(f"tokens should be floating point, got {tokens.dtype}")
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"expected a torch.Generator, got {type(generator).__name__}")
    if tokens.ndim != 3 or attention_mask.shape != tokens.shape[:2]:
        raise ValueError(
            f"expected tokens (B, L, D) and attention_mask (B, L), got {tuple(tokens.shape)} "
            f"and {tuple(attention_mask.shape)}"
        )
    if not attention_mask.bool().any(1).all():
        raise ValueError("a sentence has no token: its attention_mask is all 0")
    if not 0 <= share <= 1:
        raise ValueError(f"share should be 0 to 1, got {share}")
