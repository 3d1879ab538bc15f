#: all = "timed_out: of the CPU before its clock opened"
#: arena = "gpt"
#: bar = 0.0
#: startup_cpu = 0.5
import time

from tiny import ROWS, Tiny, train

import gpt


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    while time.process_time() < 0.7:
        train(model, [run.warmup_batch(ROWS)])
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
