"""Figures of the third deck: where a language model's space fails, and how that is scored."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from clt import data, evaluation, metrics, plots, results

from ._drawing import encoder, figure, ink

BEFORE = "clt-mini"

# First sentences of test pairs, and what to call the pair.
TOLD = {
    "Bicycles are insured against theft if they are kept locked.": "a “not” added",
    "Harald burned his brother's hall and fled to Iceland.": "roles swapped",
    "Put batteries into the box at the shop, never into the bin at home.": "places swapped",
    "Lambing season means no sleep for a month.": "said otherwise",
    "The bridge swayed so badly in the wind that it had to be closed.": "said otherwise",
    "On the new planet, rain fell upwards at dawn.": "said otherwise",
}


@cache
def scored() -> tuple[list[str], list[str], list[float]]:
    rows = data.load("sts", "test")
    return list(rows["sentence1"]), list(rows["sentence2"]), list(rows["score"])


@cache
def pairs() -> tuple[Tensor, Tensor]:
    """Both sides of the test pairs, as the untrained encoder reads them."""
    left, right, _ = scored()
    return encoder().encode([*left, *right]).split(len(left))


def cosines() -> Tensor:
    return F.cosine_similarity(*pairs())


@figure
def sentences_triplets() -> Figure:
    rows = data.load("nli", "test")
    premise, entailed, contrary = (
        F.normalize(encoder().encode(rows[side]), dim=1) for side in ("premise", "entailment", "contradiction")
    )
    x, y = (premise * contrary).sum(1), (premise * entailed).sum(1)
    wrong = (x > y).float().mean().item()
    low = min(x.min(), y.min()).item()
    fig, ax = plt.subplots(figsize=(6.0, 4.9))
    ax.plot([low, 1], [low, 1], color=ink(), linewidth=1.5, linestyle="-")
    ax.scatter(x, y, s=24, alpha=0.75, color=[plots.COLOURS[1 if bad else 0] for bad in x > y], linewidth=0)
    ax.set(xlabel="cosine with the contradiction", ylabel="cosine with the entailment", aspect="equal")
    ax.set_title(f"contradiction nearer: {wrong:.0%}", loc="center", fontsize=17)
    return plots.describe(
        fig,
        f"""{len(x)} premises as dots, cosine with the contradiction against cosine with the entailment, before
        training. The contradiction is nearer for {wrong:.0%}.""",
    )


@figure
def sentences_spectrum() -> Figure:
    raw = torch.cat(pairs())
    lines = {}
    for name, vectors in {"as it is": raw, "centred": raw - raw.mean(0)}.items():
        unit = F.normalize(vectors, dim=1)
        lines[name] = (torch.linalg.svdvals(unit).square() / len(unit))[:15].numpy()
    fig, ax = plt.subplots(figsize=(6.6, 4.9))
    plots.curves(lines, xlabel="direction, strongest first", ylabel="share of the whole", log=True, ax=ax)
    return plots.describe(fig, fig.alt.lstrip(": "))


@figure
def sentences_read_out() -> Figure:
    table = next(t for t in results.published("00_start_here") if t["table"] == "sts_pooling")
    found = results.recorded("00_start_here").found
    rows = [row for row in table["rows"] if row["key"]]
    names = [row["name"].partition(" (")[0] for row in rows]
    fig, ax = plt.subplots(figsize=(10.4, 4.2))
    told = []
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        ours = 100 * found[row["key"]]["mean"]
        who = "paper: GloVe" if "GloVe" in row["name"] else "paper: BERT-base"
        values = {"ours: clt-mini": ours} | ({who: row["paper"]} if row["paper"] else {})
        for k, (who, value) in enumerate(values.items()):
            ax.scatter(value, i, s=170, marker="o^"[k], color=plots.COLOURS[k], zorder=3)
            side, va = ((-0.2, "bottom"), (0.2, "top"))[k]
            ax.text(value, i + side, f"{value:.1f}", ha="center", va=va, fontsize=14)
            told.append(f"{name}, {who}: {value:.1f}")
        ax.axhline(i, color="#9aa0a6", linewidth=0.8, linestyle="-", zorder=0)
    for k, who in enumerate(("ours: clt-mini, the course's pairs", "published: BERT-base or GloVe, STS-B")):
        ax.scatter([], [], s=170, marker="o^"[k], color=plots.COLOURS[k], label=who)
    ax.set_yticks(range(len(names)), names, fontsize=17)
    ax.set(ylim=(len(names) - 0.4, -0.7), xlabel="Spearman × 100, test")
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, fontsize=15)
    return plots.describe(fig, f"Before any training on sentences. {'; '.join(told)}.")


@figure
def sentences_overlap() -> Figure:
    left, right, scores = scored()
    overlap = np.array(evaluation.word_overlap(left, right))
    judged = {"the scores": np.array(scores), BEFORE: cosines().numpy()}
    fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.2))
    told = []
    for i, (ax, (name, values)) in enumerate(zip(axes, judged.items(), strict=True)):
        rho = spearmanr(overlap, values).statistic
        ax.scatter(overlap, values, s=26, alpha=0.55, color=plots.COLOURS[i], marker=plots.MARKERS[i], linewidth=0)
        ax.set(xlabel="share of words in common", ylabel="score" if i == 0 else "cosine")
        ax.locator_params(nbins=4)
        ax.set_title(f"{name}\nρ with overlap: {rho:.2f}", loc="center", fontsize=17)
        told.append(f"{name} {rho:.2f}")
    return plots.describe(
        fig, f"{len(scores)} test pairs: how alike, against the share of words in common. Spearman: {'; '.join(told)}."
    )


@figure
def sentences_ranks() -> Figure:
    left, _, scores = scored()
    judged = {"the scores": torch.tensor(scores), BEFORE: cosines()}
    ranks = {name: (rankdata(values) - 0.5) / len(left) for name, values in judged.items()}
    fig, ax = plt.subplots(figsize=(10.8, 4.8))
    told = []
    for i, (first, name) in enumerate(TOLD.items()):
        row = left.index(first)
        places = [ranks[who][row] for who in ranks]
        ax.plot([min(places), max(places)], [i, i], color="#9aa0a6", linewidth=2, linestyle="-", zorder=0)
        for k, place in enumerate(places):
            ax.scatter(place, i, s=(230, 150, 170)[k], marker="*o^"[k], color=(ink(), *plots.COLOURS)[k], zorder=3)
        told.append(f"{name}: " + ", ".join(f"{who} {rank[row]:.0%}" for who, rank in ranks.items()))
    for k, who in enumerate(ranks):
        ax.scatter([], [], s=170, marker="*o^"[k], color=(ink(), *plots.COLOURS)[k], label=who)
    words = [" ".join(first.split()[:3]) + " …" for first in TOLD]
    ax.set_yticks(range(len(TOLD)), [f"{name}:\n{start}" for name, start in zip(TOLD.values(), words, strict=True)],
                  fontsize=15)  # fmt: skip
    ax.axhline(2.5, color=ink(), linewidth=1, linestyle=":")
    ax.set(xlim=(0, 1.02), ylim=(len(TOLD) - 0.5, -0.5), xticks=[0, 0.5, 1])
    ax.set_xticklabels(["least alike\nof all test pairs", "middle", "most alike"])
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, fontsize=16)
    return plots.describe(fig, f"The place of six test pairs among all, from least to most alike. {'; '.join(told)}.")


@figure
def sentences_all_or_mean() -> Figure:
    scores, topics = scored()[2], list(data.load("sts", "test")["topic"])
    fig, ax = plt.subplots(figsize=(10.8, 2.9))
    x, y = pairs()
    whole = 100 * metrics.sts_spearman(x, y, scores)
    each = []
    for topic in sorted(set(topics)):
        rows = [j for j, own in enumerate(topics) if own == topic]
        each.append(100 * metrics.sts_spearman(x[rows], y[rows], [scores[j] for j in rows]))
    mean = np.mean(each)
    ax.scatter(each, [0] * len(each), s=60, alpha=0.6, color=plots.COLOURS[5], linewidth=0)
    ax.plot([mean, mean], [-0.33, 0.33], color=plots.COLOURS[0], linestyle="-", linewidth=5)
    ax.scatter(whole, 0, s=130, marker="D", color=plots.COLOURS[1], zorder=3)
    ax.text(101, 0, f"mean {mean:.1f}\nall {whole:.1f}", ha="left", va="center", fontsize=17)
    kinds = len(set(topics))
    ax.scatter([], [], s=60, color=plots.COLOURS[5], label=f"each of {kinds} topics")
    ax.plot([], [], color=plots.COLOURS[0], linestyle="-", linewidth=5, label="their mean")
    ax.scatter([], [], s=130, marker="D", color=plots.COLOURS[1], label="all pairs together")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=16)
    ax.set(xlim=(min(0, *ax.get_xlim()), 100), ylim=(0.6, -0.6), yticks=[], xlabel="Spearman × 100")
    return plots.describe(
        fig, f"The same cosines scored in two ways: all together {whole:.1f}, mean of the topics {mean:.1f}."
    )
