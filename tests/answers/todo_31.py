"""TODO 31: generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None) -> str."""
import torch

from answers import right, wrong
from helpers.oracle import generate


def ids_of(model, tokenizer, prompt):
    return torch.tensor([tokenizer.encode(prompt)], device=next(model.parameters()).device)


def text(ids=ids_of, send=lambda n, temperature, top_k: (n, temperature, top_k),
         give=lambda tokenizer, prompt, out: tokenizer.decode(out[0].tolist()), before=lambda model: None,
         defaults=(200, 0.8), check=True):
    """A right generate_text with one part exchanged: the wrong answers below are made from it."""
    def generate_text(model, tokenizer, prompt, max_new_tokens=defaults[0], temperature=defaults[1], top_k=None):
        if check and not prompt:
            raise ValueError("prompt is empty")
        before(model)
        out = generate(model, ids(model, tokenizer, prompt), *send(max_new_tokens, temperature, top_k))
        return give(tokenizer, prompt, out)
    return generate_text


@right("plain")
def _():
    def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):
        if len(prompt) == 0:
            raise ValueError("prompt must not be empty")
        device = next(model.parameters()).device
        ids = torch.tensor(tokenizer.encode(prompt), dtype=torch.long, device=device).unsqueeze(0)
        out = generate(model, ids, max_new_tokens, temperature=temperature, top_k=top_k)
        return tokenizer.decode(out[0].tolist())
    return generate_text


@right("prompt plus the decoded new ids, a tensor to decode; generate refuses the empty prompt")
def _():
    def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):
        ids = torch.LongTensor(tokenizer.encode(prompt)).view(1, -1).to(next(model.parameters()).device)
        out = generate(model, ids, max_new_tokens, temperature, top_k)
        return prompt + tokenizer.decode(out[0, len(prompt):])
    return generate_text


@right("sampling written out, character by character")
def _():
    def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):
        if prompt == "" or max_new_tokens < 0 or temperature < 0 or (top_k is not None and top_k < 1):
            raise ValueError("empty prompt, or a number that makes no sense")
        ids = ids_of(model, tokenizer, prompt)
        training = model.training
        model.eval()
        with torch.no_grad():
            for _ in range(max_new_tokens):
                logits = model(ids[:, -model.max_len:])[0, -1]
                if top_k is not None:
                    logits = logits.masked_fill(logits < logits.topk(min(top_k, len(logits))).values[-1], -torch.inf)
                best = logits.argmax() if temperature == 0 else torch.multinomial((logits / temperature).softmax(0), 1)
                ids = torch.cat([ids, best.view(1, 1)], dim=1)
        model.train(training)
        return "".join(tokenizer.decode([i]) for i in ids[0].tolist())
    return generate_text


@right("one id at a time, in a batch of two")
def _():
    def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):
        ids = ids_of(model, tokenizer, prompt).repeat(2, 1)
        ids = generate(model, ids, min(max_new_tokens, 0), temperature, top_k)  # refuses what makes no sense
        for _ in range(max_new_tokens):
            ids = generate(model, ids, 1, temperature, top_k)
        return tokenizer.decode(ids[1].tolist())
    return generate_text


@wrong("prompt missing", named=True)
def _():
    return text(give=lambda tokenizer, prompt, out: tokenizer.decode(out[0, len(prompt):]))


@wrong("prompt doubled", named=True)
def _():
    return text(give=lambda tokenizer, prompt, out: prompt + tokenizer.decode(out[0]))


@wrong("only the prompt", named=True)
def _():
    return text(give=lambda tokenizer, prompt, out: prompt)


@wrong("last character missing", named=True)
def _():
    return text(give=lambda tokenizer, prompt, out: tokenizer.decode(out[0, :-1]))


@wrong("white space stripped", named=True)
def _():
    return text(give=lambda tokenizer, prompt, out: tokenizer.decode(out[0]).strip())


@wrong("prompt cropped to max_len", named="prompt cropped")
def _():
    return text(ids=lambda model, tokenizer, prompt: ids_of(model, tokenizer, prompt[-model.max_len:]))


@wrong("top_k not passed on", named=True)
def _():
    return text(send=lambda n, temperature, top_k: (n, temperature))


@wrong("temperature not passed on", named=True)
def _():
    return text(send=lambda n, temperature, top_k: (n, 1.0, top_k))


@wrong("default temperature of generate", named="default temperature")
def _():
    return text(defaults=(200, 1.0))


@wrong("default of max_new_tokens", named=True)
def _():
    return text(defaults=(100, 0.8))


@wrong("max_new_tokens counts the prompt too")
def _():
    def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):
        ids = ids_of(model, tokenizer, prompt)
        out = generate(model, ids, max(0, max_new_tokens - ids.shape[1]), temperature, top_k)
        return tokenizer.decode(out[0])
    return generate_text


@wrong("mode not restored", named=True)
def _():
    return text(before=lambda model: model.eval())


@wrong("empty prompt accepted", named="no error raised")
def _():
    return text(ids=lambda model, tokenizer, prompt: ids_of(model, tokenizer, prompt or tokenizer.chars[0]),
                check=False)


@wrong("ids not on the model's device", named=True)
def _():
    return text(ids=lambda model, tokenizer, prompt: torch.tensor([tokenizer.encode(prompt)]))


@wrong("a list of ids instead of a tensor", named=True)
def _():
    return text(ids=lambda model, tokenizer, prompt: [tokenizer.encode(prompt)])


@wrong("batch dimension missing", named=True)
def _():
    return text(ids=lambda model, tokenizer, prompt: torch.tensor(tokenizer.encode(prompt)))


@wrong("ids returned", named="not a text")
def _():
    return text(give=lambda tokenizer, prompt, out: out)


@wrong("only the last character of the prompt is used", named="prompt changed")
def _():
    return text(ids=lambda model, tokenizer, prompt: ids_of(model, tokenizer, prompt[-1]),
                give=lambda tokenizer, prompt, out: prompt[:-1] + tokenizer.decode(out[0]))


@wrong("prompt's end stripped", named="prompt changed")
def _():
    return text(ids=lambda model, tokenizer, prompt: ids_of(model, tokenizer, prompt.rstrip() or prompt))


@wrong("prompt in one byte per id")
def _():
    return text(ids=lambda model, tokenizer, prompt: (ids_of(model, tokenizer, prompt) % 256))


@wrong("up to the first new line", named="wrong number of characters")
def _():
    return text(give=lambda tokenizer, prompt, out: prompt + tokenizer.decode(out[0, len(prompt):]).partition("\n")[0])


@wrong("batch handed to decode", named=True)
def _():
    return text(give=lambda tokenizer, prompt, out: tokenizer.decode(out))


@wrong("temperature at most 1", named="temperature not passed on")
def _():
    return text(send=lambda n, temperature, top_k: (n, min(temperature, 1.0), top_k))


@wrong("top_k 40 when none is given", named="default top_k")
def _():
    return text(send=lambda n, temperature, top_k: (n, temperature, top_k or 40))


@wrong("negative max_new_tokens taken for 0", named="no error raised")
def _():
    return text(send=lambda n, temperature, top_k: (max(n, 0), temperature, top_k))


@wrong("mode not restored after an error", named="mode not restored")
def _():
    def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):
        training = model.training
        model.eval()
        if not prompt:
            raise ValueError("prompt is empty")
        out = generate(model, ids_of(model, tokenizer, prompt), max_new_tokens, temperature, top_k)
        model.train(training)
        return tokenizer.decode(out[0])
    return generate_text


@wrong("remembered by prompt", named="wrong number of characters")
def _():
    known, write = {}, text()
    def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):
        if prompt not in known:
            known[prompt] = write(model, tokenizer, prompt, max_new_tokens, temperature, top_k)
        return known[prompt]
    return generate_text
