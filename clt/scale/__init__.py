"""One batch over several processes: how they start and meet, what they exchange, and what happens when one dies.

- :mod:`clt.scale.processes`: starting processes that share nothing but a file, and watching over them;
- :mod:`clt.scale.gathering`: the ways to exchange embeddings, which print one loss and differ in their gradient;
- :mod:`clt.scale.fitting`: a training loop for large batches, on one process or many, that can be resumed.

``python -m clt.scale --processes 2`` starts itself twice. The same file runs under other launchers::

    torchrun --standalone --nproc_per_node 8 -m clt.scale --pairs 4096
    accelerate launch --multi_gpu --num_processes 8 -m clt.scale --pairs 4096

Both also start several processes on CPUs. ``accelerate launch --cpu`` starts one, whatever ``--num_processes`` says,
and the script ends with an error that names ``--multi_gpu``. With ``--shard`` the processes hold parts of the weights
(FSDP2) in place of copies.
"""

from clt.scale.fitting import batches, encode_pairs, fit, nli_pairs, shard, share, train
from clt.scale.gathering import WAYS, averaged, closed_form_pairs, compare, in_one_process, way_loss
from clt.scale.processes import launch, meet

__all__ = [
    "WAYS", "averaged", "batches", "closed_form_pairs", "compare", "encode_pairs", "fit", "in_one_process", "launch",
    "meet", "nli_pairs", "shard", "share", "train", "way_loss",
]  # fmt: skip
