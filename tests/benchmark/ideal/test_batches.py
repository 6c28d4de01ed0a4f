"""Rows side by side: groups by pattern, kept positions, and namesakes whose counts are one slot."""

import numpy as np
import pytest
import torch

from benchmark.ideal.batches import Batch, RowRecord
from benchmark.ideal.encoding import AnswerTable
from benchmark.ideal.patterns import AnswerPattern

END, MASK, VOCABULARY = 0, 1, 8
LOG = torch.arange(10, dtype=torch.float64).log()


def record_of(labels, token_of_label, **noise):
    table = AnswerTable(np.array(labels), np.array(token_of_label))
    options = {"tie_noise": 0.0, "noise_seed": None} | noise
    return RowRecord.from_table(table, AnswerPattern.from_labels(table.labels), **options)


def batch_of(*records, generation_length=4):
    prompt = torch.zeros(len(records), 2, dtype=torch.long)
    return Batch(records, prompt=prompt, generation_length=generation_length, vocab_size=VOCABULARY, eos_token_id=END)


def probabilities(batch, answer, keep=None):
    answer = torch.tensor(answer)
    keep = torch.arange(answer.shape[1]) if keep is None else torch.tensor(keep, dtype=torch.long)
    return batch.logits(answer, keep, MASK, LOG).exp()


def test_labels_with_one_token_share_a_slot():
    # Two people with the first name 5: three answers, of which two begin with it.
    record = record_of([[1, 2], [2, 1], [3, 1]], [END, 5, 5, 6])
    found = probabilities(batch_of(record), [[MASK] * 4])
    torch.testing.assert_close(found[0, 0, 5].item(), 2 / 3)
    torch.testing.assert_close(found[0, 0, 6].item(), 1 / 3)
    assert found[0, 1, 5] == 1.0
    assert record.slot_tokens.tolist() == [5, 6, 5]


def test_the_rest_of_the_answer_is_end_tokens():
    found = probabilities(batch_of(record_of([[1, 2], [2, 1]], [END, 5, 6])), [[MASK] * 4])
    assert found[0, 2:, END].tolist() == [1.0, 1.0]
    assert found[0].sum(dim=-1).tolist() == [1.0] * 4


def test_kept_positions_come_in_the_order_they_are_asked_for():
    batch = batch_of(record_of([[1, 2, 3], [2, 1, 3]], [END, 5, 6, 7]), record_of([[1, 2]], [END, 3, 4]))
    answer = [[MASK, 6, MASK, MASK], [MASK] * 4]
    everything = probabilities(batch, answer)
    for keep in ([2], [1, 0], [3, 1], [0, 1, 2, 3], []):
        assert torch.equal(probabilities(batch, answer, keep), everything[:, keep])


def test_a_wrong_token_where_all_answers_agree_is_a_dead_end():
    batch = batch_of(record_of([[1, 2, 3], [2, 1, 3]], [END, 5, 6, 7]))
    consistent = probabilities(batch, [[5, MASK, 7, MASK]])
    dead_end = probabilities(batch, [[5, MASK, 4, MASK]])
    assert consistent[0, 1, 6] == 1.0
    assert torch.equal(dead_end, probabilities(batch, [[MASK] * 4]))


def test_noise_is_added_to_possible_tokens_alone():
    labels, tokens = [[1, 2], [2, 1]], [END, 5, 6]
    plain = batch_of(record_of(labels, tokens)).logits(torch.full((1, 4), MASK), torch.arange(4), MASK, LOG)
    noisy_batch = batch_of(record_of(labels, tokens, tie_noise=0.5, noise_seed=3))
    noisy = noisy_batch.logits(torch.full((1, 4), MASK), torch.arange(4), MASK, LOG)
    assert torch.equal(plain.isinf(), noisy.isinf())
    raised = (noisy - plain)[0, :2, 5:7]
    assert len(set(raised.flatten().tolist())) == 4
    assert bool(((raised >= 0) & (raised < 0.5)).all())


def test_an_answer_that_does_not_fit_is_refused_with_the_length_it_needs():
    with pytest.raises(ValueError, match=r"row 1 needs 3 tokens.*only 2"):
        batch_of(record_of([[1, 2]], [END, 5, 6]), record_of([[1, 2, 1]], [END, 5, 6]), generation_length=2)
