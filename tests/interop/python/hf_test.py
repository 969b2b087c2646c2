"""A tiny Llama-style model, randomly initialised: with our attention, and with
its KV cache on the server, it says what it says with its own eager attention."""

from __future__ import annotations

import pytest
import torch

transformers = pytest.importorskip("transformers")

import attnserve  # noqa: E402
import attnserve.hf  # noqa: E402

NEW_TOKENS = 64
PROMPT = torch.tensor([[1, 17, 200, 4, 93, 55, 8, 150, 3, 77, 12]])
# Two prompts, the shorter one padded on the left.
BATCH = torch.tensor([[0, 0, 0, 0, 9, 31, 7], [5, 66, 14, 2, 180, 43, 99]])
PADDING = (BATCH != 0).long()


@pytest.fixture(scope="module", autouse=True)
def connected(address):
    attnserve.connect(address)
    attnserve.hf.register()


def make(kind: str, attention: str, **config):
    """The same weights whatever the attention."""
    torch.manual_seed(20261121)
    common = {"vocab_size": 256, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
              "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": None, **config}
    config = getattr(transformers, f"{kind}Config")(**common)
    model = getattr(transformers, f"{kind}ForCausalLM")._from_config(config, attn_implementation=attention)
    return model.float().eval()


def generate(model, ids=PROMPT, **options):
    options = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "do_sample": False, **options}
    with torch.no_grad():
        return model.generate(ids, attention_mask=(ids != 0).long(), **options)


@pytest.fixture(scope="module")
def eager():
    return make("Llama", "eager")


@pytest.fixture(scope="module")
def served():
    return make("Llama", "attnserve")


def test_tokens_are_those_of_eager_attention(eager, served):
    expected = generate(eager)
    assert expected.shape == (1, PROMPT.shape[1] + NEW_TOKENS) and len(set(expected[0].tolist())) > 10
    assert torch.equal(generate(served), expected)


def test_tokens_are_the_same_with_the_cache_on_the_server(eager, served):
    expected = generate(eager)
    with attnserve.hf.SessionCache(served) as cache:
        assert torch.equal(generate(served, past_key_values=cache), expected)
        (session,) = cache.sessions
        # The last token is said, not appended.
        assert session.refresh().layer_lengths == (expected.shape[1] - 1,) * 3
        assert cache.get_seq_length() == expected.shape[1] - 1


def test_logits_are_those_of_eager_attention(eager, served):
    with torch.no_grad():
        expected = eager(PROMPT).logits
        torch.testing.assert_close(served(PROMPT).logits, expected, rtol=0, atol=2e-6)
        with attnserve.hf.SessionCache(served) as cache:  # The prompt in two pieces.
            first = served(PROMPT[:, :6], past_key_values=cache).logits
            second = served(PROMPT[:, 6:], past_key_values=cache).logits
    torch.testing.assert_close(torch.cat([first, second], 1), expected, rtol=0, atol=2e-6)


def test_padded_batch(eager, served):
    expected = generate(eager, BATCH)
    assert torch.equal(generate(served, BATCH), expected)
    with attnserve.hf.SessionCache(served) as cache:
        assert torch.equal(generate(served, BATCH, past_key_values=cache), expected)
        assert len(cache.sessions) == 2


def test_beam_search_forks_sessions(eager, served):
    options = {"num_beams": 3, "max_new_tokens": 20, "min_new_tokens": 20}
    expected = generate(eager, **options)
    with attnserve.hf.SessionCache(served) as cache:
        assert torch.equal(generate(served, past_key_values=cache, **options), expected)
        assert len(cache.sessions) == 3


def test_crop_truncates(served):
    with attnserve.hf.SessionCache(served) as cache, torch.no_grad():
        whole = served(PROMPT, past_key_values=cache).logits
        cache.crop(-4)
        assert cache.sessions[0].refresh().layer_lengths == (7, 7, 7)
        again = served(PROMPT[:, 7:], past_key_values=cache).logits
    torch.testing.assert_close(again, whole[:, 7:], rtol=0, atol=2e-6)


def test_rows_of_the_batch_are_chosen_and_repeated(served):
    with attnserve.hf.SessionCache(served) as cache, torch.no_grad():
        served(torch.cat([PROMPT, PROMPT.flip(1)]), past_key_values=cache)
        cache.batch_select_indices(torch.tensor([1]))
        cache.batch_repeat_interleave(2)
        found = served(PROMPT[:, :1].repeat(2, 1), past_key_values=cache).logits
        expected = served(torch.cat([PROMPT.flip(1), PROMPT[:, :1]], 1)).logits[:, -1:]
        assert len(cache.sessions) == 2
    torch.testing.assert_close(found, expected.repeat(2, 1, 1), rtol=0, atol=2e-6)


def test_sessions_end_with_the_cache(served, client):
    with attnserve.hf.SessionCache(served) as cache:
        generate(served, BATCH, past_key_values=cache, max_new_tokens=2, min_new_tokens=2)
        assert len(list(client.list_sessions())) == 2
    assert not list(client.list_sessions())
    assert cache.get_seq_length() == 0


def test_weights_are_those_of_eager_attention(eager, served):
    with torch.no_grad():
        expected = eager(PROMPT, output_attentions=True).attentions
        found = served(PROMPT, output_attentions=True).attentions
    assert len(found) == len(expected) == 3
    for ours, theirs in zip(found, expected):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind, config", [
    ("Gemma2", {"head_dim": 16, "attn_logit_softcapping": 0.02, "sliding_window": 8}),
    ("Mistral", {"sliding_window": 8}), ("Qwen3", {"head_dim": 16})])
def test_other_models(kind, config):
    options = {"max_new_tokens": 20, "min_new_tokens": 20}
    eager, model = (make(kind, attention, **config) for attention in ("eager", "attnserve"))
    with torch.no_grad():
        torch.testing.assert_close(model(PROMPT).logits, eager(PROMPT).logits, rtol=0, atol=4e-6)
    expected = generate(eager, **options)
    assert torch.equal(generate(model, **options), expected)
    with attnserve.hf.SessionCache(model) as cache:
        assert torch.equal(generate(model, past_key_values=cache, **options), expected)


def test_sinks_join_the_denominator(served):
    torch.manual_seed(1)
    query, key, value = (torch.randn(1, 4, 5, 16) for _ in range(3))
    sinks = torch.tensor([0.5, -1.0, 2.0, 0.0])
    forward = transformers.AttentionInterface()["attnserve"]
    found, _ = forward(torch.nn.Module(), query, key, value, None, scaling=0.25, s_aux=sinks)
    scores = (query @ key.transpose(2, 3) * 0.25).masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    weights = torch.cat([scores, sinks[None, :, None, None].expand(1, 4, 5, 1)], 3).softmax(3)[..., :-1]
    torch.testing.assert_close(found.transpose(1, 2), weights @ value, rtol=0, atol=2e-6)


def test_keys_changed_behind_the_cache_are_noticed(served):
    key = torch.ones(1, 2, 3, 16)
    forward = transformers.AttentionInterface()["attnserve"]
    with attnserve.hf.SessionCache(served) as cache, pytest.raises(RuntimeError, match="changes keys"):
        new_key, new_value = cache.update(key, key, 0)
        forward(torch.nn.Module(), torch.ones(1, 4, 3, 16), new_key.repeat_interleave(2, 1), new_value, None)


def test_cache_alone_moves_a_model_to_the_server(eager):
    model = make("Llama", "sdpa")
    with attnserve.hf.SessionCache(model) as cache:
        assert torch.equal(generate(model, past_key_values=cache), generate(eager))
        assert len(cache.sessions) == 1


def test_attention_that_cannot_be_replaced_is_refused(monkeypatch):
    model = make("Llama", "eager")
    monkeypatch.setattr(model, "_can_set_attn_implementation", lambda: False)
    with pytest.raises(ValueError, match="LlamaForCausalLM does not let its attention be replaced by attnserve; "
                                         "it stays eager"):
        attnserve.hf.SessionCache(model)


def test_cache_under_another_attention_is_noticed(served, eager):
    with attnserve.hf.SessionCache(served) as cache, pytest.raises(RuntimeError, match="in every layer"):
        eager(PROMPT, past_key_values=cache)


def test_dropout_is_refused():
    model = make("Llama", "attnserve", attention_dropout=0.1).train()
    with pytest.raises(NotImplementedError, match="dropout must be 0"), torch.no_grad():
        model(PROMPT)


def test_training_is_refused_not_wrong(served):
    with pytest.raises(RuntimeError, match="requires grad"):
        served(PROMPT)
