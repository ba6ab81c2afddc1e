"""From the learner's `TextDataset`s to batches: one pass over the text per epoch, and the whole validation text."""
import torch
from torch.utils.data import DataLoader, Dataset, Sampler


class OnePass(Sampler):
    """The batches of one pass over the text, cut into blocks that follow each other, in a random order.

    The blocks start at `phase`, `phase + block_size`, `phase + 2 * block_size`, ... with a new random phase from
    0 to `block_size - 1` in each epoch, so that each pass cuts the text at other places. Every pass has the same
    number of batches, all of the same size; what does not fill a last one is left out.

    Phase and order follow from `seed` and the number of the epoch alone, so that a run can go on in the middle of an
    epoch: set `epoch` and `skip` (batches that it has had already). Each pass counts `epoch` on. With several
    processes each gets its share of every batch: number `rank` of `world`.
    """

    def __init__(self, dataset, block_size, batch_size, seed, rank=0, world=1):
        self.windows, self.block_size = len(dataset), block_size
        self.blocks = max(1, self.windows // block_size)
        self.batch_size = min(batch_size, self.blocks)
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = self.skip = 0
        self.go_on = lambda: True  # asked before each batch

    def __len__(self):
        return self.blocks // self.batch_size

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        skip, self.skip = self.skip, 0
        self.epoch += 1
        last_phase = self.windows - (self.blocks - 1) * self.block_size  # from here on the last block would not fit
        phase = int(torch.randint(min(self.block_size, last_phase), (), generator=generator))
        starts = (phase + self.block_size * torch.randperm(self.blocks, generator=generator)).tolist()
        for batch in range(skip, len(self)):
            if not self.go_on():
                return
            first = batch * self.batch_size
            yield starts[first + self.rank:first + self.batch_size:self.world]


class InOrder(Dataset):
    """The whole text once, in order, every position exactly once.

    Item k is the pair (x, y) of the block that starts at `k * block_size`. The last block is shorter where the
    text does not come out even: it is the end of the dataset's last window.
    """

    def __init__(self, dataset, block_size):
        self.dataset = dataset
        self.block_size = block_size
        self.positions = len(dataset) - 1 + block_size  # every character but the first is predicted once

    def __len__(self):
        return -(-self.positions // self.block_size)  # rounded up

    def __getitem__(self, k):
        start = k * self.block_size
        if start < len(self.dataset):
            return self.dataset[start]
        rest = self.positions - start
        x, y = self.dataset[len(self.dataset) - 1]
        return x[-rest:], y[-rest:]

    def length(self, k):
        """Positions in item k."""
        return min(self.block_size, self.positions - k * self.block_size)

    def batches(self, batch_size, rank=0, world=1):
        """Lists of item numbers, every `world`-th one from number `rank` on.

        A shorter last block is a batch of its own, because it cannot be stacked.
        """
        full = self.positions // self.block_size
        batches = [list(range(i, min(i + batch_size, full))) for i in range(0, full, batch_size)]
        return (batches + ([[full]] if full < len(self) else []))[rank::world]


def loaders(train_set, val_set, preset, rank=0, world=1):
    """Two `DataLoader`s over the learner's `TextDataset`s: (train_loader, val_loader).

    Batches are pairs (x, y) of int64 `(B, block_size)`. An epoch of `train_loader` is one pass over the text
    (`OnePass`), in an order that follows from PyTorch's random state now; `val_loader` gives the whole validation
    text once, in order (`InOrder`), so that the validation loss has no noise. Number `rank` of `world` processes gets
    its share of both. Raises `ValueError` when a text is shorter than a block, when the datasets' blocks are longer
    than the model of this preset can read, or when there is not enough for all processes.
    """
    for part, dataset in (("training", train_set), ("validation", val_set)):
        try:
            windows = len(dataset)
        except ValueError:  # Python allows no negative length
            windows = 0
        if windows < 1:
            raise ValueError(f"the {part} text is too short: it must be longer than one block "
                             f"({preset.block_size} characters)")
    block_size = len(train_set[0][0])
    if len(val_set[0][0]) != block_size:
        raise ValueError(f"block_size differs: {block_size} in the training set, {len(val_set[0][0])} in the "
                         f"validation set")
    if block_size > preset.block_size:
        raise ValueError(f"block_size of the datasets is {block_size}, but the model of preset "
                         f"{preset.name!r} reads at most {preset.block_size} characters")
    seed = int(torch.randint(2**31, ()))
    one_pass = OnePass(train_set, block_size, preset.batch_size, seed, rank, world)
    in_order = InOrder(val_set, block_size)
    batches = in_order.batches(max(1, 4 * preset.batch_size // world), rank, world)
    if one_pass.batch_size % world or not batches:
        raise ValueError(f"{one_pass.batch_size} blocks in a batch cannot be shared evenly among {world} processes"
                         if batches else f"the validation text is too short to be shared among {world} processes")
    # A loader draws a random number when it starts. With generators of their own that does not change what comes after.
    return (DataLoader(train_set, batch_sampler=one_pass, generator=torch.Generator()),
            DataLoader(in_order, batch_sampler=batches, generator=torch.Generator()))
