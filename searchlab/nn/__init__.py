"""Layers of R networks at once: what a model is built from."""

from searchlab.nn.elementwise import Dropout, Relu, Sigmoid, Tanh
from searchlab.nn.initial import glorot, he
from searchlab.nn.layer import Carry, Chain, Layer, Model, Module
from searchlab.nn.linear import Affine
from searchlab.nn.losses import SoftmaxCrossEntropy
from searchlab.nn.parameter import Parameter, Parameters

__all__ = [
    "Affine",
    "Carry",
    "Chain",
    "Dropout",
    "Layer",
    "Model",
    "Module",
    "Parameter",
    "Parameters",
    "Relu",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "Tanh",
    "glorot",
    "he",
]
