"""Pretrain a small BERT by masked-language modelling alone: how ``clt-mini`` was made.

    python -m clt.pretraining --text wiki.txt.gz --text books.jsonl --held-out valid.txt --output model/

:mod:`clt.pretraining.corpus` turns the text into pieces and a first embedding table; here the model learns to fill in
masked words, and nothing else.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import click
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast
from transformers.models.bert.modeling_bert import BertPooler

from clt.pretraining.corpus import (
    LONG_RUN,
    MASK,
    cooccurrences,
    encode,
    log_frequencies,
    ppmi,
    read_texts,
    svd_embeddings,
    train_tokenizer,
)
from clt.pretraining.muon import Muon
from clt.training import computes_in_bf16

HELD_OUT_BATCHES = 24


def mask_words(ids: Tensor, continues: Tensor, rate: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose whole words at random and hide their pieces: 80 % [MASK], 10 % a random piece, 10 % left as they are.

    Args:
        ids: ``(B, L)`` pieces, [CLS] first and [SEP] last.
        continues: ``(V,)`` bool, whether a piece continues a word (``##ing``).

    Returns:
        the hidden ids and the ``(B, L)`` bool mask of positions to predict.

    Source: Devlin et al. (2019); whole words as in their later release: a piece is too easily read off the next one.
    """
    word = (~continues[ids]).cumsum(1) - 1  # pieces of one word share a number, and with it a draw
    draw = torch.rand(ids.shape, generator=generator).gather(1, word)
    chosen = (draw < rate) & (ids > MASK)
    fate = torch.rand(ids.shape, generator=generator)
    noise = torch.randint(MASK + 1, len(continues), ids.shape, generator=generator)
    hidden = torch.where(chosen & (fate < 0.8), MASK, ids)
    return torch.where(chosen & (fate >= 0.9), noise, hidden), chosen


def masked_loss(model: BertForMaskedLM, hidden: Tensor, ids: Tensor, chosen: Tensor) -> Tensor:
    r"""Cross entropy of the hidden pieces, :math:`-\frac{1}{|C|}\sum_{i \in C} \log p(x_i \mid \tilde x)`.

    Scores over the vocabulary are the dearest layer: they are computed at the chosen positions alone.
    """
    states = model.bert(hidden).last_hidden_state[chosen]
    return F.cross_entropy(model.cls(states).float(), ids[chosen])


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Up over the first 4 % of the steps, level at ``peak``, down to zero over the last 40 %.

    Level in the middle, so that a stopped run may be resumed with fewer or more ``steps``.
    """
    return peak * min(1.0, (step + 1) / (0.04 * steps), (steps - step) / (0.4 * steps))


def batch_plan(lengths: np.ndarray, batch_pieces: int, seed: tuple[int, ...]) -> list[np.ndarray]:
    """One epoch of batches: runs of equal length, about ``batch_pieces`` in each, so that nothing is padding.

    What is left over of a length sits out this epoch. The number of batches does not depend on ``seed``.
    """
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(lengths)), lengths))
    batches = []
    for group in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        rows = max(1, batch_pieces // int(lengths[group[0]])) if len(group) else 1
        batches += [group[i : i + rows] for i in range(0, len(group) - rows + 1, rows)]
    return [batches[i] for i in rng.permutation(len(batches))]


def batch_at(pieces: np.ndarray, starts: np.ndarray, rows: np.ndarray) -> Tensor:
    """The runs ``rows``, all of one length, as ``(B, L)`` ids."""
    length = starts[rows[0] + 1] - starts[rows[0]]
    return torch.from_numpy(pieces[starts[rows][:, None] + np.arange(length)].astype(np.int64))


def optimizers_of(model: BertForMaskedLM) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the matrices, AdamW for the rest, with each group's share of the learning rate.

    Embeddings move at a tenth: AdamW's steps are as long for a frequent piece as the vector it starts from, and what
    counting has put there would be gone before the layers above could use it.
    """
    embeddings = list(model.bert.embeddings.parameters())
    inner = [
        *model.bert.encoder.parameters(),
        *model.cls.predictions.transform.parameters(),
        model.cls.predictions.bias,
    ]
    matrices = [weight for weight in inner if weight.ndim == 2]
    vectors = [weight for weight in inner if weight.ndim == 1]
    muon = Muon(matrices, lr=0.0)
    adam = torch.optim.AdamW(
        [{"params": vectors, "share": 0.5}, {"params": embeddings, "share": 0.1}],
        betas=(0.9, 0.98), weight_decay=0.01, fused=True,
    )  # fmt: skip
    muon.param_groups[0]["share"] = 1.0
    return muon, adam


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then rename it: a kill leaves the old file or the new one."""
    with open(path.with_name(path.name + ".part"), "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def save_model(model: BertForMaskedLM, tokenizer: BertTokenizerFast, output: Path) -> None:
    """Write the encoder for ``AutoModel`` and, beside it, the head that fills masks; each file is replaced whole.

    ``AutoModelForMaskedLM.from_pretrained(output, variant="mlm")`` reads both, led by the index file. For that every
    tensor has the name that the whole model knows it by, ``bert.…`` or ``cls.…``: ``AutoModel`` takes the prefix off,
    and transformers 4 would put it before the head's names, too, if the encoder's had none.
    """
    encoder = {f"bert.{name}": value for name, value in model.bert.state_dict().items()}
    head = {f"cls.{name}": value for name, value in model.cls.state_dict().items() if "decoder" not in name}
    files = dict.fromkeys(encoder, "model.safetensors") | dict.fromkeys(head, "mlm_head.safetensors")
    size = sum(value.nbytes for value in (encoder | head).values())
    with tempfile.TemporaryDirectory(dir=output, prefix=".part-") as folder:
        model.bert.save_pretrained(folder, state_dict=encoder)
        tokenizer.save_pretrained(folder)
        save_file(head, f"{folder}/mlm_head.safetensors", metadata={"format": "pt"})
        Path(folder, "model.safetensors.index.mlm.json").write_text(
            json.dumps({"metadata": {"total_size": size}, "weight_map": files}, indent=1)
        )
        for file in Path(folder).iterdir():
            file.chmod(0o644)
            os.replace(file, output / file.name)


def prepare(sources: list[str], limit: int | None, vocabulary: int, width: int, work: Path):
    """Tokenizer, pieces, starts and first embeddings: each made once, then read back from ``work``."""

    def texts(doing: str) -> Iterator[str]:
        return (text for source in sources for text in tqdm(read_texts(source, limit), f"{doing} {Path(source).name}"))

    if not (work / "tokenizer_config.json").exists():  # the last of the tokenizer's files to be written
        train_tokenizer(texts("vocabulary from"), vocabulary).save_pretrained(work)
    tokenizer = BertTokenizerFast.from_pretrained(work)
    if not (work / "starts.npy").exists():
        pieces, starts = encode(texts("encoding"), tokenizer)
        if len(starts) == 1 or len(tokenizer) < width:
            raise click.ClickException(f"too little text: {len(starts) - 1} runs, {len(tokenizer)} different pieces")
        write_atomically(work / "pieces.npy", lambda file: np.save(file, pieces))
        write_atomically(work / "starts.npy", lambda file: np.save(file, starts))
    pieces, starts = np.load(work / "pieces.npy"), np.load(work / "starts.npy")
    if not (work / "embeddings.npy").exists():
        click.echo("counting co-occurrences, then their SVD")
        vectors = svd_embeddings(ppmi(cooccurrences(pieces, starts, len(tokenizer))), width).numpy()
        write_atomically(work / "embeddings.npy", lambda file: np.save(file, vectors))
    return tokenizer, pieces, starts, torch.from_numpy(np.load(work / "embeddings.npy"))


def train(model, tokenizer, pieces, starts, held_out: list[Tensor], output: Path, settings, steps, save_every, bf16):
    """The loop. Every draw depends on the seed and the step alone, so a resumed run meets the same numbers."""
    checkpoint, seed, batch = output / "work" / "checkpoint.pt", settings["seed"], settings["batch"]
    lengths, names = np.diff(starts), tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    continues = torch.tensor([name.startswith("##") for name in names])
    optimizers = optimizers_of(model)
    step, history, recent = 0, [], []
    if checkpoint.exists():
        try:
            saved = torch.load(checkpoint, map_location=model.device, weights_only=True)
            model.load_state_dict(saved["model"])
            for optimizer, its in zip(optimizers, saved["optimizers"], strict=True):
                optimizer.load_state_dict(its)
            step, history = saved["step"], saved["history"]
        except Exception as error:  # torch raises many kinds for a damaged file
            raise click.ClickException(f"{checkpoint} cannot be read; delete it to start again ({error})") from error

    def loss_of(ids: Tensor, *key: int) -> Tensor:
        draw = int(np.random.SeedSequence(key).generate_state(1)[0])
        hidden, chosen = mask_words(ids, continues, settings["mask"], torch.Generator().manual_seed(draw))
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            return masked_loss(model, *(tensor.to(model.device) for tensor in (hidden, ids, chosen)))

    def state() -> dict:
        its = [optimizer.state_dict() for optimizer in optimizers]
        return {"model": model.state_dict(), "optimizers": its, "step": step, "history": history}

    per_epoch, epoch = len(batch_plan(lengths, batch, (seed, 0))), None
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    bar = tqdm(total=steps, initial=step, unit="step", mininterval=1)
    while step < steps:
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            plan = batch_plan(lengths, batch, (seed, epoch))
        for group in groups:
            group["lr"] = learning_rate(step, steps, settings["lr"]) * group["share"]
        loss = loss_of(batch_at(pieces, starts, plan[step % per_epoch]), seed, step)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        recent.append(loss.item())
        bar.update()
        if step % save_every == 0 or step == steps:
            with torch.no_grad():
                held = [loss_of(ids, seed, 0, number).item() for number, ids in enumerate(held_out)]
            history.append({"step": step, "loss": float(np.mean(recent)), "held_out": float(np.mean(held))})
            bar.set_postfix(history[-1])
            recent = []
            write_atomically(checkpoint, lambda file: torch.save(state(), file))
            write_atomically(output / "history.json", lambda file: file.write(json.dumps(history).encode()))
            save_model(model, tokenizer, output)


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--text", "sources", multiple=True, required=True, help="A .txt or .jsonl file (or .gz), or 'wikipedia'.")
@click.argument("more", nargs=-1)
@click.option("--held-out", multiple=True, required=True, help="A file for the held-out loss, never trained on.")
@click.option("--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the model.")
@click.option("--limit", type=click.IntRange(1), help="Lines or articles read of each source.  [default: all]")
@click.option("--vocabulary", default=12_000, type=click.IntRange(300, 65_535), help="Pieces in the vocabulary.")
@click.option("--layers", default=4, type=click.IntRange(1))
@click.option("--width", default=256, type=click.IntRange(64), help="A multiple of 64, the width of a head.")
@click.option("--batch", default=8192, type=click.IntRange(LONG_RUN), help="Pieces in a batch; 65536 suits a GPU.")
@click.option("--lr", default=2e-3, type=click.FloatRange(0, min_open=True), help="Highest learning rate.")
@click.option("--mask", default=0.2, type=click.FloatRange(0, 1, min_open=True), help="Share of words to predict.")
@click.option("--seed", default=0, type=click.IntRange(0))
@click.option("--steps", default=6000, type=click.IntRange(1), help="May change when a run is resumed.")
@click.option("--save-every", default=250, type=click.IntRange(1), help="Steps between checkpoints.")
@click.option("--device", help="cpu, cuda or mps.  [default: the best there is]")
@click.option("--bf16/--no-bf16", default=None, help="bfloat16 autocast.  [default: where the hardware computes in it]")
def main(sources, more, held_out, output, steps, save_every, device, bf16, **settings):
    """Pretrain a small BERT by masked-language modelling on text, and write it to a folder.

    A file named twice is read twice as often. A run that was stopped goes on from OUTPUT/work when called again;
    once it is finished, that subfolder may be deleted.
    """
    for source in (*sources, *more, *held_out):
        if source != "wikipedia" and not Path(source).is_file():
            raise click.BadParameter(f"{source!r} is neither a file nor 'wikipedia'")
    if settings["width"] % 64:
        raise click.BadParameter(f"expected a multiple of 64, got {settings['width']}", param_hint="--width")
    settings |= {"text": [*sources, *more], "held-out": [*held_out]}
    work = output / "work"
    work.mkdir(parents=True, exist_ok=True)
    if (work / "settings.json").exists():
        before = json.loads((work / "settings.json").read_text())
        for name in before:
            if before[name] != settings[name]:
                raise click.ClickException(f"{work} was begun with {name} = {before[name]}, got {settings[name]}")
    write_atomically(work / "settings.json", lambda file: file.write(json.dumps(settings, indent=1).encode()))

    device = device or ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    limit, width = settings["limit"], settings["width"]
    torch.manual_seed(settings["seed"])
    tokenizer, pieces, starts, vectors = prepare(settings["text"], limit, settings["vocabulary"], width, work)
    unseen = encode((text for source in held_out for text in read_texts(source, limit)), tokenizer)
    unseen = [batch_at(*unseen, rows) for rows in batch_plan(np.diff(unseen[1]), settings["batch"], (0,))]
    torch.manual_seed(settings["seed"])
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=settings["layers"],
        num_attention_heads=width // 64, intermediate_size=4 * width, max_position_embeddings=LONG_RUN,
    )  # fmt: skip
    model = BertForMaskedLM(config)
    model.bert.pooler = BertPooler(config)  # untrained, stored so that AutoModel finds all it asks for
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.copy_(vectors)
        # Every piece also gets this vector, and then all are scaled to one length. What is telling was long, and is now
        # far from it; what is common was short, and nearly is it: so the lengths of the vectors go on counting.
        model.bert.embeddings.token_type_embeddings.weight.normal_(0, 0.05)
        model.cls.predictions.decoder.bias.copy_(log_frequencies(pieces, len(tokenizer)))
    model.to(device).eval()  # eval: no dropout in pretraining; the config keeps BERT's 0.1 for what comes after
    bf16 = computes_in_bf16(torch.device(device)) if bf16 is None else bf16
    train(model, tokenizer, pieces, starts, unseen[:HELD_OUT_BATCHES], output, settings, steps, save_every, bf16)
