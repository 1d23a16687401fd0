"""The word-level language model."""

from torch import Tensor, nn

from moduli.tasks.language.settings import Cell

CELLS: dict[Cell, type[nn.RNN | nn.GRU | nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
INITIAL_RANGE = 0.1
"""Embedding and decoder begin uniform between plus and minus this."""

Hidden = tuple[Tensor, ...]
"""States ``(layers, places, units)``: one for an RNN or GRU, hidden state and cell for an LSTM."""


class WordModel(nn.Module):
    """Read words; tell what the next one may be.

    The architecture of PyTorch's example ``word_language_model``, which arXiv 2406.06290 prunes:
    embedded words drive recurrent layers, and a linear read-out gives the logits of the next word, with
    dropout in between (Zaremba, Sutskever and Vinyals, arXiv 1409.2329).

    Parameters
    ----------
    cell : {"rnn", "gru", "lstm"}
        Kind of recurrent layer; ``"rnn"`` has the hyperbolic tangent.
    words : int
        Size of the vocabulary.
    units : int
        Recurrent units of each layer, and dimensions of the embedding.
    layers : int
        Number of recurrent layers.
    dropout : float
        Share of activations that is dropped while training.

    Examples
    --------
    >>> import torch
    >>> model = WordModel("lstm", words=50, units=8, layers=2, dropout=0.0)
    >>> logits, hidden = model(torch.zeros(4, 7, dtype=torch.int64))
    >>> logits.shape, [state.shape for state in hidden]
    (torch.Size([4, 7, 50]), [torch.Size([2, 4, 8]), torch.Size([2, 4, 8])])
    """

    def __init__(self, cell: Cell, words: int, units: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, units)
        between = dropout if layers > 1 else 0.0  # PyTorch warns of dropout between the layers of one
        self.recurrent = CELLS[cell](units, units, layers, batch_first=True, dropout=between)
        self.decoder = nn.Linear(units, words)
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.recurrent.reset_parameters()
        nn.init.uniform_(self.embedding.weight, -INITIAL_RANGE, INITIAL_RANGE)
        nn.init.uniform_(self.decoder.weight, -INITIAL_RANGE, INITIAL_RANGE)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, words: Tensor, hidden: Hidden = ()) -> tuple[Tensor, Hidden]:
        """Return logits ``(places, words, vocabulary)`` and the state after the last word.

        Parameters
        ----------
        words : Tensor
            Numbers of words, ``(places, words)``.
        hidden : tuple of Tensor
            State before the first word; none for zeros.
        """
        is_pair = isinstance(self.recurrent, nn.LSTM)
        before = (hidden if is_pair else hidden[0]) if hidden else None
        states, after = self.recurrent(self.dropout(self.embedding(words)), before)
        return self.decoder(self.dropout(states)), after if is_pair else (after,)
