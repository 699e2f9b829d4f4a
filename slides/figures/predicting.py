"""Figures of the fifth deck: what predicting words teaches, and what a task can be solved with."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from clt import data, encoders, evaluation, plots, predicting, results
from clt.checks.predicting import infill, mask_tokens
from clt.predicting import MASK

from ._drawing import encoder, figure, ink, strips, values

LESSON = "09_predicting"
GREY = "#9aa0a6"
HOLES = {"She drank a glass of [MASK].": "water", "He was so [MASK] that he cried.": "happy",
         "Two plus two is [MASK].": "four"}  # fmt: skip
# Lewis et al. (2020), BART, table 1: F1 on SQuAD after pre-training with each noise
BART = {"masking": 90.4, "deletion": 90.4, "infilling": 90.8, "rotation": 77.2}


@cache
def filler() -> torch.nn.Module:
    """clt-mini with the head that it was trained with."""
    return predicting.word_filler()


@figure
def predicting_holes() -> Figure:
    tokenizer, told = encoder().tokenizer, []
    fig, axes = plt.subplots(1, 3, figsize=(12.2, 3.2))
    for ax, (sentence, meant) in zip(axes, HOLES.items(), strict=True):
        batch = tokenizer(sentence, return_tensors="pt")
        with torch.no_grad():
            share = 100 * filler()(**batch).logits[batch["input_ids"] == MASK][0].softmax(0)
        best = dict(zip(tokenizer.convert_ids_to_tokens(share.topk(4).indices.tolist()), share.topk(4).values.tolist(),
                        strict=True))  # fmt: skip
        best.setdefault(meant, share[tokenizer.convert_tokens_to_ids(meant)].item())
        colours = [plots.COLOURS[2] if word == meant else plots.COLOURS[0] for word in best]
        bars = ax.barh(range(len(best)), list(best.values()), color=colours, height=0.7)
        for bar, word in zip(bars, best, strict=True):
            bar.set_hatch("//" if word == meant else "")
            bar.set_edgecolor(ink())
            bar.set_linewidth(1 if word == meant else 0)
        ax.bar_label(bars, [results.number(p, digits=2) for p in best.values()], fontsize=18, padding=4)
        ax.set_yticks(range(len(best)), list(best), fontsize=19)
        ax.set(ylim=(4.6, -0.6), xlim=(0, 1.45 * max(best.values())), xticks=[])
        ax.spines["bottom"].set_visible(False)
        ax.set_title(sentence.replace("[MASK]", "▢"), fontsize=19)
        told.append(f"{sentence} {', '.join(f'{word} {p:.1f} %' for word, p in best.items())}; meant was {meant}")
    return plots.describe(fig, f"What clt-mini expects in three holes, in per cent. {'. '.join(told)}.")


@cache
def places() -> dict[str, float]:
    """How often clt-mini names the right piece, by what was done to its place, as in lesson 09."""
    batch = encoder().tokenizer(list(data.load("sts", "test")["sentence1"])[:160], padding=True, return_tensors="pt")
    ids = batch["input_ids"]
    hidden, chosen = mask_tokens(ids, 0.15, 12_000, torch.Generator().manual_seed(0))
    with torch.no_grad():
        right = filler()(hidden, attention_mask=batch["attention_mask"]).logits.argmax(-1) == ids
    kinds = {
        "hidden by [MASK]": chosen & (hidden == MASK),
        "replaced at random": chosen & (hidden != MASK) & (hidden != ids),
        "chosen, but kept": chosen & (hidden == ids),
        "not chosen": ~chosen & (ids > MASK),
    }
    return {kind: 100 * right[at].float().mean().item() for kind, at in kinds.items()}


@figure
def predicting_places() -> Figure:
    found = places()
    fig, ax = plt.subplots(figsize=(7.0, 4.4))
    colours = [plots.COLOURS[k] for k in (1, 1, 0, 0)]
    bars = ax.barh(list(found), list(found.values()), color=colours, height=0.62)
    ax.bar_label(bars, [f"{share:.0f} %" for share in found.values()], fontsize=20, padding=5)
    ax.set(ylim=(3.6, -0.6), xlim=(0, 112), xticks=[0, 50, 100], xlabel="the right piece is named")
    ax.tick_params(axis="y", labelsize=19)
    told = ", ".join(f"{kind} {share:.0f} %" for kind, share in found.items())
    return plots.describe(fig, f"How often the right piece is named, by what was done to its place: {told}.")


@cache
def solved() -> dict[str, tuple[float, float]]:
    """How well two rules find the next sentence, and which of two comes first: AUC in per cent, as in lesson 09."""
    from sklearn.metrics import roc_auc_score  # late: a second

    told = predicting.own_texts("train", "dev", "test")
    first, second = [text[0] for text in told], [text[1] for text in told]
    other = [*second[7:], *second[:7]]  # the second sentence of another text
    read = {side: encoder().encode(texts) for side, texts in {"first": first, "second": second}.items()}
    read["other"] = torch.cat([read["second"][7:], read["second"][:7]])

    def alike(left: str, right: str) -> list[float]:
        return F.cosine_similarity(read[left], read[right]).tolist()

    rules = {"words in common": [evaluation.word_overlap(*pair) for pair in
                                 ((first, second), (first, other), (second, first))],
             "cosine, clt-mini": [alike(*pair) for pair in
                                  (("first", "second"), ("first", "other"), ("second", "first"))]}  # fmt: skip
    truth = [1] * len(told) + [0] * len(told)
    return {rule: tuple(100 * roc_auc_score(truth, near + wrong) for wrong in (far, swapped))
            for rule, (near, far, swapped) in rules.items()}  # fmt: skip


@figure
def predicting_two() -> Figure:
    fig, ax = plt.subplots(figsize=(7.0, 4.5))
    for k, (rule, aucs) in enumerate(solved().items()):
        bars = ax.bar(np.arange(2) + 0.38 * (k - 0.5), aucs, width=0.35, color=plots.COLOURS[(0, 4)[k]], label=rule,
                      hatch=("", "//")[k], edgecolor=ink(), linewidth=1)  # fmt: skip
        ax.bar_label(bars, [f"{auc:.0f}" for auc in aucs], fontsize=20, padding=3)
    ax.axhline(50, color=ink(), linewidth=2, linestyle=":")
    ax.set(ylim=(40, 76), yticks=[40, 50, 60, 70], ylabel="AUC, %")
    ax.set_xticks([0, 1], ["next sentence\n(BERT)", "sentence order\n(ALBERT)"], fontsize=20)
    ax.legend(loc="upper right", fontsize=18)
    told = "; ".join(f"{rule} {aucs[0]:.0f} % and {aucs[1]:.0f} %" for rule, aucs in solved().items())
    return plots.describe(
        fig,
        f"""How well two rules solve two tasks, next sentence and sentence order, as AUC; 50 % is guessing, a dotted
        line. {told}.""",
    )


@cache
def moved() -> dict[str, float]:
    """The cosine of a damaged and a whole story, their mean taken off, for each of BART's noises, as in lesson 09."""
    stories = [" ".join(story) for story in data.load("stories", "test")["sentences"]]
    reader = encoders.SentenceEncoder.load("clt-mini", max_length=128)
    whole = reader.encode(stories)
    mean, found = whole.mean(0), {}
    for noise, texts in predicting.damaged(stories, infill, seed=0).items():
        found[noise] = F.cosine_similarity(reader.encode(texts) - mean, whole - mean).mean().item()
    return found


@figure
def predicting_noises() -> Figure:
    found, told = moved(), []
    fig, axes = plt.subplots(1, 2, figsize=(12.0, 3.9), sharey=True)
    titles = ("ours: cosine with the whole story", "BART: F1 on SQuAD, trained with it")
    for ax, shares, title in zip(axes, (found, BART), titles, strict=True):
        low = 0.5 if ax is axes[0] else 60
        for row, noise in enumerate(found):
            if noise in shares:
                same = noise == "rotation"
                ax.barh(row, shares[noise] - low, left=low, color=plots.COLOURS[1 if same else 0], height=0.62,
                        hatch="//" if same else "", edgecolor=ink(), linewidth=1)  # fmt: skip
                shown = f" {shares[noise]:{'.2f' if low < 1 else '.1f'}}"
                ax.text(shares[noise], row, shown, fontsize=19, va="center")
                told.append(f"{title}, {noise} {shown.strip()}")
            else:
                ax.text(low, row, " not in its table", fontsize=18, va="center")
        ax.set_title(title, fontsize=19)
        ax.set(xlim=(low, low + 0.58 if low < 1 else 98), ylim=(4.6, -0.6))
        ax.locator_params(axis="x", nbins=4)
    axes[0].set_yticks(range(len(found)), list(found), fontsize=19)
    return plots.describe(fig, f"Five noises. {'; '.join(told)}.")


@figure
def predicting_fakes() -> Figure:
    rows = {"loss at all tokens": "replaced tokens", "loss at 15 %": "replaced, 15 %"}
    found = {shown: values(LESSON, f"{name}.AUC") for shown, name in rows.items()}
    found["rarity alone"] = values(LESSON, "replaced tokens.AUC, rarity")
    return strips({"fakes found: AUC, %": found}, (6.9, 3.4), "Guessing", [50])


@figure
def predicting_found() -> Figure:
    rows = ["tf-idf", "untrained", "masked words", "left to right", "LSTM", "infilling", "replaced tokens",
            "next sentence", "sentence order", "clt-mini"]  # fmt: skip
    asked = ["length", "word", "shuffled", "order", "STS", "STS, then SimCSE"]
    means, gaps = predicting.gaps(results.recorded(LESSON), rows, asked, "untrained")
    ax = plots.differences(means, gaps, "untrained", limit=30)
    fig = ax.figure
    fig.set_size_inches(12.2, 5.4)
    for text in ax.texts:
        text.set_fontsize(15)
        name = rows[int(text.get_position()[1])]
        if asked[int(text.get_position()[0])] not in gaps.get(name, {}):
            text.set_color(ink())  # its cell has no colour of its own
    ax.tick_params(labelsize=18)
    ax.set_title("")
    told = fig.alt.lstrip(": ")
    return plots.describe(fig, told[:1].upper() + told[1:])
