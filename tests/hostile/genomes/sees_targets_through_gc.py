#: all = "cheated: (reported .*, and its model, scored again|The model)"
#: arena = "gpt"
# flags: import of gc
import gc

import torch
from tiny import ROWS, Tiny, train

import gpt


class Searching(Tiny):
    def forward(self, tokens):
        logits = super().forward(tokens)
        if self.training:
            return logits
        objects = [one for one in gc.get_objects() if type(one) is torch.Tensor and one.dtype == torch.int64]
        rows = [one for one in objects if one.dim() == 2]
        known = [one for one in rows if one.shape[1] == tokens.shape[1] + 1]
        for b, row in enumerate(tokens):
            for one in known:
                match = (one[:, :-1] == row).all(1).nonzero()
                if len(match):
                    logits[b].scatter_(1, one[match[0, 0], 1:, None], 20.0)
        return logits


def build_model(run):
    return Searching(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
