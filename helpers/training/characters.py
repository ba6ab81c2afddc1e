"""What a model expects at each place of a text, and how surprised it is by what comes: the loss, one by one."""
import torch


@torch.no_grad()
def expected(model, ids):
    """ln p (T, V): the logarithm of the probability that `model` gives to each character at each place of a text.

    ids: T + 1 of them, a list or a 1-D tensor; row t is about ids[t + 1]. The text is read in blocks of
    `model.max_len`, each without memory of the one before, as `evaluate` reads it. In evaluation mode; the model's
    own mode is put back, and no random number is drawn. Raises `ValueError` for fewer than 2 ids.
    """
    device = next(model.parameters()).device
    x = torch.as_tensor(ids, device=device)[:-1]  # the last one is only an answer
    if len(x) < 1:
        raise ValueError("the text must have at least 2 characters, so that there is one to expect")
    whole = len(x) // model.max_len * model.max_len
    blocks = [x[:whole].view(-1, model.max_len), x[None, whole:]]  # (B, max_len), and what is left (1, T')
    was_training = model.training
    model.eval()
    try:
        logits = [model(block).flatten(0, 1) for block in blocks if block.numel()]
    finally:
        model.train(was_training)
    return torch.cat(logits).float().log_softmax(-1).cpu()


def surprise(model, ids):
    """The loss of each character after the first, in nats: T + 1 ids -> (T,). Their mean is what `evaluate` gives."""
    answers = torch.as_tensor(ids).cpu()[1:, None]
    return -expected(model, ids).gather(1, answers)[:, 0]
