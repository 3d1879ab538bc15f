"""A plain GPT as a textbook has it, trained with AdamW: where a search can start from nothing."""

import math

import torch
import torch.nn.functional as F
from torch import nn

import gpt

# Model
DEPTH = 8  # range: 2..16
WIDTH = 512  # choices: 256 384 512 640 768 896
HEADS = 8  # choices: 4 8 16
MLP_RATIO = 4.0  # range: 2.0..6.0
ACTIVATION = "gelu"  # choices: gelu relu2 silu

# Optimisation
BATCH_ROWS = 64  # choices: 16 32 64 128
LEARNING_RATE = 0.001  # range: 0.0001..0.01 log
WEIGHT_DECAY = 0.1  # range: 0.0..0.5
BETA1 = 0.9  # range: 0.5..0.98
BETA2 = 0.95  # range: 0.9..0.999
GRADIENT_CLIP = 1.0  # range: 0.1..10.0 log

# Schedule of the learning rate, as parts of the box
WARMUP = 0.05  # range: 0.0..0.3
FINAL_LR = 0.1  # range: 0.0..0.5


def activation(x):
    if ACTIVATION == "relu2":
        return F.relu(x).square()
    return F.gelu(x) if ACTIVATION == "gelu" else F.silu(x)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        hidden = int(MLP_RATIO * WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.up = nn.Linear(WIDTH, hidden)
        self.down = nn.Linear(hidden, WIDTH)

    def forward(self, x):  # (B, T, C)
        heads = (x.size(0), x.size(1), HEADS, WIDTH // HEADS)
        q, k, v = (z.view(heads).transpose(1, 2) for z in self.qkv(self.norm1(x)).chunk(3, dim=-1))  # (B, H, T, D)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(x.shape))
        return x + self.down(activation(self.up(self.norm2(x))))


class GPT(nn.Module):
    """As in Radford et al. 2019: learned positions, layer norms before each part, the head tied to the embedding."""

    def __init__(self, vocab_size, length):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.positions = nn.Embedding(length, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, vocab_size, bias=False)
        for name, parameter in self.named_parameters():
            if name.endswith("weight") and parameter.ndim == 2:
                ends = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * DEPTH) if ends else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        self.head.weight = self.tokens.weight
        # Of the forward and the backward pass (Chowdhery et al. 2022, appendix B).
        layers = [layer for layer in self.modules() if isinstance(layer, nn.Linear)]
        self.flops_per_token = 6 * sum(layer.weight.numel() for layer in layers) + 12 * WIDTH * DEPTH * length

    def forward(self, tokens):  # (B, T) -> (B, T, vocab)
        with torch.autocast("cuda", torch.bfloat16, enabled=tokens.is_cuda):
            x = self.tokens(tokens) + self.positions.weight[: tokens.size(1)]
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))


def build_model(run):
    return GPT(run.vocab_size, run.sequence_length).to(run.device)


def build_optimizer(model):
    """Matrices decay; biases and the gains of norms do not."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    fused = next(model.parameters()).is_cuda
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(BETA1, BETA2), fused=fused)


def schedule(progress):
    """The factor of the learning rate: up, then along half a cosine down to FINAL_LR."""
    if progress < WARMUP:
        return progress / WARMUP
    down = 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP)))
    return FINAL_LR + (1 - FINAL_LR) * down


def main():
    run = gpt.start()
    model = build_model(run)
    optimizer = build_optimizer(model)

    def loss_of(x, y):
        return F.cross_entropy(model(x).float().flatten(0, 1), y.flatten())

    if run.device.type == "cuda":
        loss_of = torch.compile(loss_of, dynamic=False)
        loss_of(*run.warmup_batch(BATCH_ROWS)).backward()  # compiles before the clock runs
    for x, y in run.batches(BATCH_ROWS):
        model.zero_grad(set_to_none=True)
        loss = loss_of(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        run.log(loss)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * schedule(run.progress)
        optimizer.step()
    run.finish(model)


if __name__ == "__main__":
    main()
