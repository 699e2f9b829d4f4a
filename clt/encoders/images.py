"""From a small picture to a point."""

from torch import Tensor, nn


class ImageEncoder(nn.Module):
    """A small convolutional network for small grey pictures: ``(N, H, W)`` → ``(N, dimension)``, not normalised.

    Two 3 × 3 convolutions, a max-pool and two linear layers; about 12,000 weights for 8 × 8 pictures and 32 dimensions.
    """

    def __init__(self, dimension: int, *, size: int = 8, width: int = 16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(width * (size // 2) ** 2, 2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, dimension),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.unsqueeze(1))
