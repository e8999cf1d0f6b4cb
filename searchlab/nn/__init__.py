"""Layers and losses of R networks at once, and the parts from which custom layers and models are written."""

from searchlab.backend import Array, as_matrices, xp_of
from searchlab.nn.activations import Gelu, LeakyRelu, Relu, Sigmoid, Tanh
from searchlab.nn.affine import Affine
from searchlab.nn.attention import Attention
from searchlab.nn.batch_norm import BatchNorm
from searchlab.nn.bidirectional import Bidirectional
from searchlab.nn.decoding import Decoded, beam_search
from searchlab.nn.dropout import Dropout
from searchlab.nn.embedding import Embedding
from searchlab.nn.error_losses import AbsoluteError, Huber
from searchlab.nn.fitted_model import FittedModel
from searchlab.nn.gru import GRU
from searchlab.nn.initializers import (
    Initializer,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    random_normal,
    random_uniform,
)
from searchlab.nn.layer_norm import LayerNorm
from searchlab.nn.loss import Loss
from searchlab.nn.losses import MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from searchlab.nn.lstm import LSTM
from searchlab.nn.module import Carry, Layer, Model, Module, Sequential
from searchlab.nn.multi_head_attention import KeysValues, MultiHeadAttention, causal_mask
from searchlab.nn.negative_sampling import NegativeSampling
from searchlab.nn.parameter import Parameter, Parameters, SparseParameter
from searchlab.nn.positional_encoding import PositionalEncoding, RotaryEncoding
from searchlab.nn.rnn import RNN, RecurrentLayer
from searchlab.nn.softmax_output import SoftmaxOutput
from searchlab.nn.transformer_layer import TransformerLayer
from searchlab.replicas import PerReplica, Replicas, align

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AbsoluteError",
    "Affine",
    "Array",
    "Attention",
    "BatchNorm",
    "Bidirectional",
    "Carry",
    "Decoded",
    "Dropout",
    "Embedding",
    "FittedModel",
    "Gelu",
    "Huber",
    "Initializer",
    "KeysValues",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "Loss",
    "MeanSquaredError",
    "Model",
    "Module",
    "MultiHeadAttention",
    "NegativeSampling",
    "Parameter",
    "Parameters",
    "PerReplica",
    "PositionalEncoding",
    "RecurrentLayer",
    "Relu",
    "Replicas",
    "RotaryEncoding",
    "Sequential",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "SoftmaxOutput",
    "SparseParameter",
    "Tanh",
    "TransformerLayer",
    "align",
    "as_matrices",
    "beam_search",
    "causal_mask",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "random_normal",
    "random_uniform",
    "xp_of",
]
