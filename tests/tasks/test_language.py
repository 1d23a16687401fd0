"""Clauses T1-T4 for language modelling: corpora, every word counted, states carried, and learning."""

import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.errors import InvalidConfiguration
from moduli.models import MissingDependency
from moduli.tasks.errors import UnusableCorpus
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.configuration.presets import preset
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.language.corpora import Corpus, load_corpus
from moduli.tasks.language.reading import NOTHING, Reading
from moduli.tasks.language.settings import LanguageSettings
from moduli.tasks.language.task import Language
from moduli.tasks.language.vocabulary import Vocabulary
from moduli.tasks.report.table import notes
from moduli.tasks.task import make_task
from tests.tasks.resumption import check_resumption

TRAIN = ["the cat sees the dog", "the dog sees a cat", "a bird sings"] * 10
VALID = ["the dog sings"]
TEST = ["the bird sees a dog", "", "a zebra sings"]
PARTS = {"train": TRAIN, "valid": VALID, "test": TEST}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "corpus"
    path.mkdir()
    for name, lines in PARTS.items():
        (path / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def settings(folder):
    return LanguageSettings(units=12, layers=2, corpus=str(folder), segment=4)


def configured(settings, **changes):
    return Configuration(
        settings,
        TrainingSettings(**{"steps": 30, "batch": 3, "learning_rate": 0.02, "log_interval": 3} | changes),
        PruningSettings(sparsity=0.5),
    )


# Corpora and vocabularies


def test_python_topics_repeat_nothing_and_are_split_by_topic():
    first, again = load_corpus("python-topics"), load_corpus("python-topics")
    assert first == again
    paragraphs = [*first.train, *first.validation, *first.test]
    assert len(set(paragraphs)) == len(paragraphs)
    words = {name: sum(len(line.split()) for line in lines) for name, lines in vars(first).items()}
    assert words["train"] > 50_000
    assert all(0.02 < words[part] / sum(words.values()) < 0.3 for part in ("validation", "test"))


def test_a_python_without_its_topics_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(UnusableCorpus, match="installed without its language reference"):
        load_corpus("python-topics")


def test_a_corpus_s_digest_sees_every_word_and_every_boundary():
    corpora = [
        Corpus(("a b",), ("c",), ("d",)),
        Corpus(("a", "b"), ("c",), ("d",)),
        Corpus(("a b", "c"), (), ("d",)),
        Corpus(("a b",), ("c",), ("e",)),
    ]
    assert len({corpus.digest() for corpus in corpora}) == 4
    assert Corpus(("a  b\n",), ("c\n",), ("d\n",)).digest() == corpora[0].digest()


def test_a_folder_is_a_corpus(folder):
    assert load_corpus(str(folder)).digest() == Corpus(*map(tuple, PARTS.values())).digest()


@pytest.mark.parametrize("name", PARTS)
def test_missing_empty_and_foreign_files_of_a_folder_are_named(folder, name):
    path = folder / f"{name}.txt"
    path.write_text(" \n\n")
    with pytest.raises(UnusableCorpus, match=f"The {name}.* part of the corpus .* holds no words"):
        load_corpus(str(folder))
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(UnusableCorpus, match=rf"{name}\.txt cannot be read \('utf-8' codec .*in UTF-8"):
        load_corpus(str(folder))
    path.unlink()
    with pytest.raises(
        UnusableCorpus, match=rf"{name}\.txt cannot be read \(.*No such file.*holds train\.txt"
    ):
        load_corpus(str(folder))


def test_a_corpus_s_mistyped_name_gets_a_suggestion():
    with pytest.raises(UnusableCorpus, match=r"'wikitext2' is neither .* did you mean 'wikitext-2'"):
        load_corpus("wikitext2")


def test_wikitext_comes_from_hugging_face(monkeypatch):
    asked = []

    def load_dataset(*names):
        asked.append(names)
        return {part: {"text": [f" = {part} = \n", ""]} for part in ("train", "validation", "test")}

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    corpus = load_corpus("wikitext-103")
    assert asked == [("Salesforce/wikitext", "wikitext-103-v1")]
    assert corpus == Corpus((" = train = \n", ""), (" = validation = \n", ""), (" = test = \n", ""))


def test_wikitext_without_datasets_or_network_says_what_to_do(monkeypatch):
    def unreachable(*_):
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=unreachable))
    with pytest.raises(UnusableCorpus, match=r"could not be downloaded \(no route\); connect"):
        load_corpus("wikitext-2")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependency, match=r"pip install 'moduli\[corpora\]'"):
        load_corpus("wikitext-2")


def test_the_vocabulary_is_the_most_frequent_words_of_the_training_text():
    vocabulary = Vocabulary.of(["b a c c <unk>", "a b c d <unk> <unk>"], largest=4)
    assert vocabulary.words == ("<unk>", "<eos>", "c", "a")
    assert vocabulary.encode(["d a", "", "c <unk>"]).tolist() == [0, 3, 1, 1, 2, 0, 1]
    assert len(Vocabulary.of(["a b"], largest=100)) == 4


# Every word is read, and counted, once


@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 9))
def test_every_word_is_a_target_once_after_the_word_before_it(words, places, segment):
    reading = Reading(torch.arange(1, words + 1), places, segment, first=0)
    assert all(part.inputs.shape[1] <= segment for part in reading)
    inputs = torch.cat([part.inputs for part in reading], dim=1).flatten()
    targets = torch.cat([part.targets for part in reading], dim=1).flatten()
    real = targets != NOTHING
    assert targets[real].tolist() == list(range(1, words + 1))
    assert torch.equal(inputs[real], targets[real] - 1)
    assert len(list(reading)) == len(reading)


class Table(torch.nn.Module):
    """Answers with one row of logits for each word read, whatever came before."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, words, hidden=()):
        return self.logits[words], hidden


@pytest.mark.parametrize("segment", [1, 3, 35])
def test_the_score_is_that_of_all_words(folder, segment):
    task = Language(LanguageSettings(corpus=str(folder), segment=segment), 3, seed=0)
    logits = torch.randn(len(task.vocabulary), len(task.vocabulary))

    def by_hand(lines):
        text = task.vocabulary.encode(lines)
        before = torch.cat([torch.tensor([task.vocabulary.numbers["<eos>"]]), text[:-1]])
        nats = float(torch.nn.functional.cross_entropy(logits[before], text))
        return text, nats, float((logits[before].argmax(dim=-1) == text).float().mean())

    text, nats, accuracy = by_hand(TEST)
    assert len(text) == 5 + 0 + 3 + len(TEST)
    measured = task.measurements(Table(logits))
    assert task.score(Table(logits)) == pytest.approx(math.exp(nats), rel=1e-5)
    assert task.validate(Table(logits)) == pytest.approx(math.exp(by_hand(VALID)[1]), rel=1e-5)
    assert measured["nats per word"] == pytest.approx(nats, rel=1e-5)
    assert measured["bits per word"] == pytest.approx(nats / math.log(2), rel=1e-5)
    assert measured["accuracy"] == pytest.approx(accuracy)
    assert measured["test words"] == len(text)
    assert measured["test words unknown"] == pytest.approx(1 / len(text))
    assert measured["vocabulary"] == len(set(" ".join(TRAIN).split())) + 2
    assert measured["corpus digest"] == load_corpus(str(folder)).digest()


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_held_out_text_is_read_with_its_past_wherever_it_is_cut(folder, cell):
    scores = []
    for segment in (1, 2, 35):
        chosen = LanguageSettings(cell=cell, units=6, corpus=str(folder), segment=segment)
        task = Language(chosen, 3, seed=0)
        torch.manual_seed(0)
        scores.append(task.score(task.model()))
    assert scores == pytest.approx([scores[0]] * 3, rel=1e-6)


def test_references_are_those_of_ignorance(settings):
    task = make_task(configured(settings), seed=0)
    words = [word for line in TRAIN for word in [*line.split(), "<eos>"]]
    size = len(set(words)) + 1
    known = [word if word in words else "<unk>" for line in TEST for word in [*line.split(), "<eos>"]]
    nats = [-math.log((1 + words.count(word)) / (len(words) + size)) for word in known]
    assert task.references() == {
        "word frequencies": pytest.approx(math.exp(sum(nats) / len(nats))),
        "any word equally likely": size,
    }


def test_a_score_says_so_where_the_vocabulary_leaves_words_out(settings):
    whole, cut = (Language(replace(settings, vocabulary=size), 3, seed=0) for size in (9, 8))
    assert (len(whole.vocabulary), whole.score_name) == (9, "perplexity")
    assert (len(cut.vocabulary), cut.score_name) == (8, "perplexity of 8 words")


def test_a_hopeless_model_has_infinite_perplexity_rather_than_an_error(settings):
    task = make_task(configured(settings), seed=0)
    logits = torch.zeros(len(task.vocabulary), len(task.vocabulary))
    logits[:, task.vocabulary.numbers["cat"]] = 1e6
    assert task.score(Table(logits)) == math.inf


# What is carried from step to step


def test_a_seed_changes_data_and_a_step_s_batch_depends_on_nothing_else(settings):
    first, again, other = (Language(settings, 3, seed) for seed in (0, 0, 1))
    epoch = len(first._reading)
    assert torch.equal(first.batch(epoch + 2).segment.inputs, first.batch(2).segment.inputs)
    assert torch.equal(again.batch(2).segment.inputs, first.batch(2).segment.inputs)
    assert not torch.equal(other.batch(2).segment.inputs, first.batch(2).segment.inputs)
    assert [first.batch(step).begins for step in range(2 * epoch)] == ([True] + [False] * (epoch - 1)) * 2
    for task in (first, other):
        targets = torch.cat([task.batch(step).segment.targets for step in range(epoch)], dim=1).flatten()
        words = targets[targets != NOTHING]
        assert torch.equal(words.sort().values, task.vocabulary.encode(TRAIN).sort().values)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_states_are_carried_on_within_an_epoch_and_gradients_are_not(folder, cell):
    chosen = LanguageSettings(cell=cell, units=6, layers=2, corpus=str(folder), segment=4, dropout=0.0)
    short = Language(chosen, 3, seed=0)
    long = Language(LanguageSettings(**vars(chosen) | {"segment": 8}), 3, seed=0)
    model = short.model()
    losses = [short.loss(model, short.batch(step)) for step in (0, 1)]
    at_once = long.loss(model, long.batch(0)).item()
    assert torch.stack(losses).mean().item() == pytest.approx(at_once, rel=1e-5)
    assert len(short.state()) == (2 if cell == "lstm" else 1)
    assert not any(state.requires_grad for state in short.state().values())
    carried = short.loss(model, short.batch(1)).item()
    assert carried != losses[1].item()  # the state is now another one
    anew = short.loss(model, short.batch(0))
    assert anew.item() == losses[0].item()  # at the beginning of the text there is none
    assert short.loss(model, short.batch(len(short._reading))).item() == losses[0].item()


def test_dropout_depends_on_seed_and_step_alone_and_spares_held_out_text(settings):
    task = Language(settings, 3, seed=0)
    model = task.model()
    before = torch.get_rng_state()
    losses = [task.loss(model, task.batch(step)).item() for step in (0, 0, len(task._reading))]
    assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]  # the same words, another step
    assert task.score(model) == task.score(model)
    assert model.training


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_killed_run_resumes_with_its_state_and_ends_bit_identical(tmp_path, monkeypatch, settings, cell):
    chosen = configured(LanguageSettings(**vars(settings) | {"cell": cell}))
    check_resumption(Language, chosen, tmp_path, monkeypatch)


# Learning


@pytest.mark.parametrize("name", ["demo", "small", "smoke"])
def test_a_preset_s_fresh_network_holds_all_words_equally_likely(name, folder):
    configuration = preset("language", name)
    if configuration.task.corpus == "wikitext-2":  # which is downloaded
        (folder / "train.txt").write_text(" ".join(map(str, range(20_000))))
        configuration = replace(configuration, task=replace(configuration.task, corpus=str(folder)))
    task = make_task(configuration, seed=0)
    loss = task.loss(task.model(), task.batch(0)).item()
    assert loss == pytest.approx(math.log(configuration.task.vocabulary), abs=0.1)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_protocol_learns_and_prunes_every_layer(tmp_path, settings, folder, cell):
    (folder / "test.txt").write_text("the dog sees a cat\nthe cat sees the dog\n")
    settings = LanguageSettings(**vars(settings) | {"cell": cell, "dropout": 0.0})
    chosen = configured(settings, steps=80, batch=5, learning_rate=0.04, log_interval=40)
    results = carry_out(Run(chosen, "torus-diffusion", 0, tmp_path))
    for result in results.values():
        assert result.score_name == "perplexity"
        assert result.score < 0.8 * result.references["word frequencies"]
        assert math.log(result.score) == pytest.approx(result.measurements["nats per word"])
        for layer in (0, 1):
            assert result.sparsity[f"recurrent.weight_hh_l{layer}"] == pytest.approx(0.5, abs=0.01)


def test_the_table_says_that_embedding_and_decoder_stay_dense(tmp_path, settings):
    run = Run(configured(settings, steps=4, batch=5), "none", 0, tmp_path)
    results = carry_out(run)
    (note,) = notes(Summary.of_run("here", results))
    assert note.startswith("Pruned: every recurrent weight matrix alone; all other weights, such as")
    assert note.endswith("of an embedding or a decoder, stay dense.")
    matrices = {
        name: each for name, each in StoredNetwork(run.stage("trained")).weights.items() if each.ndim == 2
    }
    assert {name for name, each in matrices.items() if (each == 0).any()} == {*results["trained"].matrices}
    assert {"embedding.weight", "decoder.weight"} < matrices.keys() - results["trained"].matrices.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "elman"}, "cell must be one of rnn, gru, lstm; got 'elman'"),
        ({"units": 0}, "units must be positive"),
        ({"layers": 0}, "layers must be positive"),
        ({"segment": 0}, "segment must be positive"),
        ({"dropout": 1.0}, r"dropout must be a share in \[0, 1\); got 1\.0"),
        ({"vocabulary": 2}, "vocabulary must be at least 3"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(InvalidConfiguration, match=message):
        LanguageSettings(**change)
