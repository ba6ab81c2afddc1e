"""TODO 20: generate(model, ids, max_new_tokens, temperature=1.0, top_k=None)."""
import random

import torch
import torch.nn.functional as F

from answers import right, wrong


def refuse(ids, max_new_tokens, temperature, top_k):
    if max_new_tokens < 0:
        raise ValueError("max_new_tokens must not be negative")
    if temperature < 0:
        raise ValueError("temperature must not be negative")
    if top_k is not None and top_k < 1:
        raise ValueError("top_k must be at least 1")
    if ids.shape[1] == 0:
        raise ValueError("ids must not be empty")


def choose(logits, temperature, top_k):
    """(B, V) -> (B, 1), right."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    logits = logits / temperature
    if top_k is not None:
        least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    return torch.multinomial(F.softmax(logits, -1), 1)


def variant(window=lambda model, ids: ids[:, -model.max_len:], position=-1, choose=choose, refuse=refuse,
            result=lambda prompt, ids, model: ids):
    """A right generate with one part exchanged: most answers below are made from it."""
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        prompt, training = ids, model.training
        model.eval()
        with torch.no_grad():
            for _ in range(max_new_tokens):
                logits = model(window(model, ids))[:, position]
                ids = torch.cat([ids, choose(logits, temperature, top_k)], dim=1)
        model.train(training)
        return result(prompt, ids, model)
    return generate


@right("plain, decorated")
def _():
    @torch.no_grad()
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        if max_new_tokens < 0 or temperature < 0 or ids.numel() == 0 or (top_k is not None and top_k <= 0):
            raise ValueError("max_new_tokens, temperature, ids or top_k makes no sense")
        was_training = model.training
        model.eval()
        for _ in range(max_new_tokens):
            context = ids if ids.size(1) <= model.max_len else ids[:, -model.max_len:]
            logits = model(context)[:, -1, :]
            if temperature == 0:
                next_id = torch.argmax(logits, dim=-1, keepdim=True)
            else:
                logits = logits / temperature
                if top_k is not None:
                    values, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                    logits[logits < values[:, [-1]]] = float("-inf")
                next_id = torch.multinomial(torch.softmax(logits, dim=-1), num_samples=1)
            ids = torch.cat((ids, next_id), dim=1)
        if was_training:
            model.train()
        return ids
    return generate


@right("a buffer filled step by step, inference mode, Gumbel noise")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        training = model.training
        B, T = ids.shape
        out = torch.cat([ids, ids.new_zeros(B, max_new_tokens)], 1)
        try:
            model.train(False)
            with torch.inference_mode():
                for t in range(T, T + max_new_tokens):
                    scores = model(out[:, max(0, t - model.max_len):t])[:, -1].double()
                    if top_k is not None and top_k < scores.shape[-1]:
                        scores.scatter_(1, scores.argsort(dim=-1, descending=True)[:, top_k:], -torch.inf)
                    if temperature > 0:
                        uniform = torch.rand_like(scores).clamp_min(1e-300)
                        scores = scores / temperature - torch.log(-torch.log(uniform))
                    out[:, t] = scores.argmax(-1)
        finally:
            model.train(training)
        return out
    return generate


@right("recursive, row by row, Python's own random numbers")
def _():
    def pick(logits, temperature, top_k):
        if temperature == 0:
            return int(logits.argmax())
        best = sorted(range(len(logits)), key=lambda i: -logits[i])[:top_k]
        top = max(float(logits[i]) for i in best)
        weights = [2.718281828459045 ** ((float(logits[i]) - top) / temperature) for i in best]
        return random.choices(best, weights)[0]

    @torch.no_grad()
    def step(model, ids, n, temperature, top_k):
        if n == 0:
            return ids
        rows = model(ids[:, -model.max_len:])[:, -1].tolist()
        new = [[pick(torch.tensor(row), temperature, top_k) if temperature == 0 else pick(row, temperature, top_k)]
               for row in rows]
        return step(model, torch.cat([ids, torch.tensor(new, device=ids.device)], 1), n - 1, temperature, top_k)

    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        training = model.training
        model.eval()
        out = step(model, ids, max_new_tokens, temperature, top_k)
        return model.train(training) and out if training else out
    return generate


@right("sampling among the top k only, Categorical, set_grad_enabled")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        training, gradients = model.training, torch.is_grad_enabled()
        model.eval()
        torch.set_grad_enabled(False)
        for _ in range(max_new_tokens):
            logits = model(ids[:, -model.max_len:])[:, -1]
            k = 1 if temperature == 0 else min(top_k or logits.size(-1), logits.size(-1))
            best, where = logits.topk(k, dim=-1)
            chosen = torch.distributions.Categorical(logits=best / (temperature or 1)).sample()[:, None]
            ids = torch.cat([ids, where.gather(1, chosen)], dim=1)
        torch.set_grad_enabled(gradients)
        model.train(training)
        return ids
    return generate


@right("row by row, each row a text of its own")
def _():
    one = variant()

    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        return torch.cat([one(model, row[None], max_new_tokens, temperature, top_k) for row in ids])
    return generate


@right("bad arguments found late, mode restored all the same")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        training = model.training
        model.eval()
        try:
            return variant()(model, ids, max_new_tokens, temperature, top_k)
        finally:
            model.train(training)
    return generate


@wrong("prompt cropped at the wrong end", named=True)
def _():
    return variant(window=lambda model, ids: ids[:, :model.max_len])


@wrong("only the last id fed", named=True)
def _():
    return variant(window=lambda model, ids: ids[:, -1:])


@wrong("window one too short", named=True)
def _():
    return variant(window=lambda model, ids: ids[:, -(model.max_len - 1):])


@wrong("not cropped", named=True)
def _():
    return variant(window=lambda model, ids: ids)


@wrong("the result cropped too", named="cropped result")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        training = model.training
        model.eval()
        with torch.no_grad():
            for _ in range(max_new_tokens):
                ids = ids[:, -model.max_len:]
                ids = torch.cat([ids, choose(model(ids)[:, -1], temperature, top_k)], 1)
        model.train(training)
        return ids
    return generate


@wrong("logits of the first position", named=True)
def _():
    return variant(position=0)


@wrong("only the new ids returned", named=True)
def _():
    return variant(result=lambda prompt, ids, model: ids[:, prompt.shape[1]:])


@wrong("new ids not fed back", named=True)
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        training = model.training
        model.eval()
        out = ids
        with torch.no_grad():
            for _ in range(max_new_tokens):
                out = torch.cat([out, choose(model(ids[:, -model.max_len:])[:, -1], temperature, top_k)], 1)
        model.train(training)
        return out
    return generate


@wrong("always the most likely id", named=True)
def _():
    return variant(choose=lambda logits, temperature, top_k: logits.argmax(-1, keepdim=True))


@wrong("temperature multiplied", named=True)
def _():
    return variant(choose=lambda logits, temperature, k: choose(logits * temperature, 1.0, k) if temperature
                   else choose(logits, 0, k))


@wrong("temperature ignored", named=True)
def _():
    return variant(choose=lambda logits, temperature, k: choose(logits, 1.0 if temperature else 0, k))


@wrong("division by temperature 0", named=True)
def _():
    def divide(logits, temperature, k):
        return torch.multinomial(F.softmax(logits / temperature, -1), 1)
    return variant(choose=divide)


@wrong("top_k ignored", named=True)
def _():
    return variant(choose=lambda logits, temperature, k: choose(logits, temperature, None))


@wrong("top_k off by one: strictly above the k-th", named="top_k")
def _():
    def strict(logits, temperature, k):
        if temperature == 0 or k is None or k >= logits.shape[-1]:
            return choose(logits, temperature, None)
        least = logits.topk(k + 1).values[:, -1:]
        return torch.multinomial(F.softmax(logits.masked_fill(logits < least, -torch.inf) / temperature, -1), 1)
    return variant(choose=strict)


@wrong("left-out logits set to 0", named=True)
def _():
    def zero(logits, temperature, k):
        if temperature == 0 or k is None or k == 1:
            return choose(logits, temperature, k)
        logits = logits / temperature
        least = logits.topk(min(k, logits.shape[-1])).values[:, -1:]
        return torch.multinomial(F.softmax(logits.masked_fill(logits < least, 0), -1), 1)
    return variant(choose=zero)


@wrong("the k worst kept", named=True)
def _():
    def worst(logits, temperature, k):
        if temperature == 0 or k is None or k == 1 or k >= logits.shape[-1]:
            return choose(logits, temperature, k)
        least = logits.sort(-1).values[:, k - 1:k]
        return choose(logits.masked_fill(logits > least, -torch.inf), temperature, None)
    return variant(choose=worst)


@wrong("one threshold for the whole batch")
def _():
    def first_row(logits, temperature, k):
        if temperature == 0 or k is None:
            return choose(logits, temperature, k)
        kept = torch.zeros_like(logits, dtype=torch.bool)
        kept[:, logits[0].topk(min(k, logits.shape[-1])).indices] = True
        return choose(logits.masked_fill(~kept, -torch.inf), temperature, None)
    return variant(choose=first_row)


@wrong("top_k above V raises", named="top_k above V")
def _():
    def strict(logits, temperature, k):
        if k is not None:
            logits = logits.masked_fill(logits < logits.topk(k).values[:, -1:], -torch.inf)
        return choose(logits, temperature, None)
    return variant(choose=strict)


@wrong("top_k=0 slips through", named="no error raised")
def _():
    def lax(ids, max_new_tokens, temperature, top_k):
        refuse(ids, max_new_tokens, temperature, top_k or None)
    return variant(refuse=lax, choose=lambda logits, temperature, k: choose(logits, temperature, k or None))


@wrong("negative temperature accepted", named="no error raised")
def _():
    return variant(refuse=lambda ids, n, temperature, k: refuse(ids, n, 1.0, k))


@wrong("negative max_new_tokens accepted", named="no error raised")
def _():
    return variant(refuse=lambda ids, n, temperature, k: refuse(ids, 1, temperature, k))


@wrong("empty prompt: error of another kind", named="wrong kind of error")
def _():
    return variant(refuse=lambda ids, n, temperature, k: refuse(torch.ones(1, 1), n, temperature, k))


@wrong("mode not restored", named=True)
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        model.eval()
        with torch.no_grad():
            for _ in range(max_new_tokens):
                ids = torch.cat([ids, choose(model(ids[:, -model.max_len:])[:, -1], temperature, top_k)], 1)
        return ids
    return generate


@wrong("always training mode afterwards", named="mode not restored")
def _():
    def back(prompt, ids, model):
        model.train()
        return ids
    return variant(result=back)


@wrong("not in evaluation mode", named=True)
def _():
    @torch.no_grad()
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        for _ in range(max_new_tokens):
            ids = torch.cat([ids, choose(model(ids[:, -model.max_len:])[:, -1], temperature, top_k)], 1)
        return ids
    return generate


@wrong("gradients on", named=True)
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        training = model.training
        model.eval()
        for _ in range(max_new_tokens):
            ids = torch.cat([ids, choose(model(ids[:, -model.max_len:])[:, -1], temperature, top_k)], 1)
        model.train(training)
        return ids
    return generate


@wrong("gradients stay off afterwards", named="global setting left changed")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        torch.set_grad_enabled(False)
        return variant()(model, ids, max_new_tokens, temperature, top_k)
    return generate


@wrong("works only for a batch of 1", named=True)
def _():
    def single(logits, temperature, k):
        return torch.tensor([[choose(logits, temperature, k).item()]])
    return variant(choose=single)


@wrong("one draw for all rows", named=True)
def _():
    return variant(choose=lambda logits, temperature, k: choose(logits, temperature, k) if temperature == 0 or k == 1
                   else choose(logits[:1], temperature, k).expand(len(logits), 1))


@wrong("random seed set inside", named="the random seed")
def _():
    def seeded(logits, temperature, k):
        torch.manual_seed(42)
        return choose(logits, temperature, k)
    return variant(choose=seeded)


@wrong("one id too few", named=True)
def _():
    return variant(result=lambda prompt, ids, model: ids[:, :-1] if ids.shape[1] > prompt.shape[1] else ids)


@wrong("prompt changed in place", named="changes its input")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        out = variant()(model, ids, max_new_tokens, temperature, top_k)
        if max_new_tokens:
            ids[:, 0] = out[:, -1] + 1
        return out
    return generate


@wrong("exp without care: overflows when cold", named="low temperature")
def _():
    def exp(logits, temperature, k):
        if temperature == 0 or k is not None:
            return choose(logits, temperature, k)
        odds = torch.exp(logits / temperature)
        return torch.multinomial(odds / odds.sum(-1, keepdim=True), 1)
    return variant(choose=exp)


@wrong("returns a list")
def _():
    return variant(result=lambda prompt, ids, model: ids.tolist())


@wrong("padded to max_len on the right", named="wrong ids fed")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        refuse(ids, max_new_tokens, temperature, top_k)
        training = model.training
        model.eval()
        with torch.no_grad():
            for _ in range(max_new_tokens):
                window = ids[:, -model.max_len:]
                logits = model(F.pad(window, (0, model.max_len - window.shape[1])))[:, window.shape[1] - 1]
                ids = torch.cat([ids, choose(logits, temperature, top_k)], 1)
        model.train(training)
        return ids
    return generate


@wrong("all new ids drawn at once", named="wrong ids fed")
def _():
    greedy = variant()

    @torch.no_grad()
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        if temperature == 0 or max_new_tokens < 2:
            return greedy(model, ids, max_new_tokens, temperature, top_k)
        refuse(ids, max_new_tokens, temperature, top_k)
        training = model.training
        model.eval()
        logits = model(ids[:, -model.max_len:])[:, -1]
        model.train(training)
        new = [choose(logits, temperature, top_k) for _ in range(max_new_tokens)]
        return torch.cat([ids, *new], 1)
    return generate


@wrong("greedy below 0.1", named="always the most likely id")
def _():
    return variant(choose=lambda logits, temperature, k: choose(logits, temperature if temperature >= 0.1 else 0, k))


@wrong("temperature kept above 0.1", named="another temperature")
def _():
    return variant(choose=lambda logits, temperature, k: choose(logits, temperature and max(temperature, 0.1), k))


@wrong("left-out logits set to the smallest", named="left-out ids still possible")
def _():
    def smallest(logits, temperature, k):
        if temperature == 0 or k is None or k == 1 or k >= logits.shape[-1]:
            return choose(logits, temperature, k)
        least = logits.topk(k).values[:, -1:]
        return choose(torch.where(logits < least, logits.min(), logits), temperature, None)
    return variant(choose=smallest)


@wrong("a bad call leaves evaluation mode", named="mode not restored")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        training = model.training
        model.eval()
        refuse(ids, max_new_tokens, temperature, top_k)
        out = variant()(model, ids, max_new_tokens, temperature, top_k)
        model.train(training)
        return out
    return generate


@wrong("gradients always on afterwards", named="gradient mode not restored")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        torch.set_grad_enabled(False)
        out = variant()(model, ids, max_new_tokens, temperature, top_k)
        torch.set_grad_enabled(True)
        return out
    return generate


@wrong("0 new ids: returns before looking at the rest", named="no error raised")
def _():
    def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
        return variant()(model, ids, max_new_tokens, temperature, top_k) if max_new_tokens else ids
    return generate
