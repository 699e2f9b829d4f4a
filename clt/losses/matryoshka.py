"""Matryoshka: any loss, on the first dimensions as well as on all of them."""

from collections.abc import Callable, Sequence

from torch import Tensor

from clt.losses._shared import floating


def matryoshka_loss(loss: Callable[..., Tensor], *embeddings: Tensor, dimensions: Sequence[int]) -> Tensor:
    r"""The sum of a loss over prefixes of the embeddings, so that the first dimensions alone are of use.

    .. math:: \ell = \sum_{d \in \mathcal{D}} \ell(x_{1:d},\, y_{1:d},\, \dots)

    Args:
        loss: called with a prefix of each embedding, in their order. Give it labels and options beforehand, as in
            ``functools.partial(losses.simcse_loss, temperature=0.05)``. A loss of cosines normalises each prefix anew;
            one that takes the vectors as they are sees prefixes that are shorter than 1.
        embeddings: tensors whose last dimension is D.
        dimensions: how long the prefixes are, each from 1 to D and each once. The whole, D, counts only if it is named.

    Returns:
        What ``loss`` returns, summed; all weights are 1.

    Raises:
        ValueError: if there is no embedding, they differ in D, or a length is out of range or named twice.
        TypeError: if an embedding is not a floating-point tensor, or a length is not an integer.

    Source: Kusupati et al. (2022), eq. 1, with all weights :math:`c_m = 1` as there. (FlagEmbedding divides by the
    number of lengths.)
    """
    if not embeddings:
        raise ValueError("expected at least one tensor of embeddings after the loss, got none")
    floating(**{f"embedding {i}": tensor for i, tensor in enumerate(embeddings, 1)})
    widths = {tensor.shape[-1] if tensor.dim() else 0 for tensor in embeddings}
    if len(widths) > 1:
        raise ValueError(f"embeddings must have one width, got {', '.join(map(str, sorted(widths)))}")
    (width,) = widths
    lengths = list(dimensions)
    for length in lengths:
        if not isinstance(length, int) or isinstance(length, bool):
            raise TypeError(f"dimensions must be integers, got {length!r}")
        if not 1 <= length <= width:
            raise ValueError(f"dimensions must be from 1 to {width}, got {length}")
    if not lengths or len(set(lengths)) < len(lengths):
        raise ValueError(f"dimensions must be at least one, each named once, got {lengths}")
    return sum(loss(*(tensor[..., :length] for tensor in embeddings)) for length in lengths)
