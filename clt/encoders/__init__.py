"""From a sentence, or a small picture, to a point: the encoders of the course."""

from clt.encoders.card import publish
from clt.encoders.dropout import drop_heads, set_dropout
from clt.encoders.head import WithHead
from clt.encoders.images import ImageEncoder
from clt.encoders.pictures import CaptionTower, PictureTower
from clt.encoders.pooled import POOLINGS, random_weights
from clt.encoders.sentence import SentenceEncoder
from clt.encoders.three import M3Encoder
from clt.encoders.upper import UpperLayers

__all__ = [
    "POOLINGS", "CaptionTower", "ImageEncoder", "M3Encoder", "PictureTower", "SentenceEncoder", "UpperLayers",
    "WithHead", "drop_heads", "publish", "random_weights", "set_dropout",
]  # fmt: skip
