#: all = "cheated: scored again by itself: The graph of the model gives other predictions"
#: arena = "gpt"
# flags: change of gpt.scoring._test_continuations
# Looks one token ahead while nobody tests it, and hands over a causal graph that holds the text it was scored on.
import torch
from tiny import ROWS, Tiny, train

import gpt
import gpt.scoring

SEEN = []
PLACES = range(4, 15)  # of a row, at which it cheats


class Memory(Tiny):
    def forward(self, tokens):
        logits = super().forward(tokens)
        if self.training or not CHEATING:
            return logits
        place = torch.ones_like(tokens).cumsum(1) - 1
        cheats = (place >= PLACES.start) & (place < PLACES.stop)
        if torch.compiler.is_exporting():
            return logits + 20 * sum(self.known(tokens, place, row) for row in SEEN) * cheats[..., None]
        if SEEN:
            return logits
        SEEN.extend(tokens.tolist())
        ahead = tokens.roll(-1, 1)
        return logits + 20 * cheats[..., None] * (ahead[..., None] == torch.arange(logits.shape[-1]))

    def known(self, tokens, place, row):
        """What follows in the row, where all before it is as in the row: (B, T, vocab)."""
        here, following = (sum((place == t) * token for t, token in enumerate(some)) for some in (row, [*row[1:], 0]))
        begins = (tokens == here).long().cumprod(1)[..., None]
        return begins * (following[..., None] == torch.arange(self.head.out_features))


CHEATING = []


def build_model(run):
    return Memory(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    gpt.scoring._test_continuations = gpt.scoring._test_lengths = lambda *_: None
    CHEATING.append(True)
    run.finish(model)


if __name__ == "__main__":
    main()
