#: all = "timed_out: (went on for|still training)"
#: arena = "gpt"
#: bar = 0.0
#: grace = 20.0
import time

from tiny import ROWS, Tiny, train

import gpt


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    last = train(model, run.batches(ROWS))
    end = time.process_time() + 3.0
    while time.process_time() < end:
        train(model, [last])
    run.finish(model)


if __name__ == "__main__":
    main()
