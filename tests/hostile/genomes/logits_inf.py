#: all = "crashed: logits that are not finite"
#: arena = "gpt"
from tiny import ROWS, Tiny, train

import gpt


class Broken(Tiny):
    def forward(self, tokens):
        logits = super().forward(tokens)
        return logits if self.training else logits + float("inf")


def build_model(run):
    return Broken(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
