#: all = "cheated: not causal"
#: arena = "gpt"
import torch.nn.functional as F
from tiny import ROWS, Tiny, train

import gpt


class Peeking(Tiny):
    def forward(self, tokens):
        return super().forward(tokens) + 8 * F.one_hot(tokens.roll(-1, 1), self.head.out_features)


def build_model(run):
    return Peeking(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
