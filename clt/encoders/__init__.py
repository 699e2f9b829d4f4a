"""From a sentence, or a small picture, to a point: the encoders of the course."""

from clt.encoders.dropout import set_dropout
from clt.encoders.images import ImageEncoder
from clt.encoders.pooled import POOLINGS
from clt.encoders.sentence import SentenceEncoder
from clt.encoders.three import M3Encoder
from clt.encoders.upper import UpperLayers

__all__ = ["POOLINGS", "ImageEncoder", "M3Encoder", "SentenceEncoder", "UpperLayers", "set_dropout"]
