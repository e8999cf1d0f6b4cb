"""Search deep MLPs for Fashion-MNIST: depth, activation, batch normalization, regularization and augmentation.

30 trials on 48,000 images, with 12,000 held out, up to 15 epochs with early stopping: about ten minutes on two CPU
cores. Downloads 30 MB on first use.

Run it with `searchlab run search_spaces/fashion_mlp.py`.
"""

from models.mlp import MLP
from searchlab import (
    Accuracy,
    Adam,
    BatchNorm,
    Choice,
    CosineDecay,
    EarlyStopping,
    FashionMnist,
    Float,
    Gelu,
    Holdout,
    Relu,
    RMSprop,
    Shift,
    SoftmaxCrossEntropy,
    Space,
    Sweep,
    Tanh,
    Trainer,
)

sweep = Sweep(
    name="fashion-mlp",
    data=FashionMnist(),
    validation=Holdout(0.2),
    metric=Accuracy(),
    model=Space(
        MLP,
        hidden=Choice((256,), (256, 128), (512, 256, 128)),
        activation=Choice(Relu, Gelu, Tanh),
        normalization=Choice(None, BatchNorm),
        dropout=Float(0.0, 0.5),
        loss=Space(SoftmaxCrossEntropy, smoothing=Float(0.0, 0.2)),
    ),
    optimizer=Choice(
        Space(RMSprop, lr=Float(1e-4, 1e-2, log=True)),
        Space(Adam, lr=Float(1e-4, 1e-2, log=True)),
    ),
    training=Space(
        Trainer,
        batch_size=Choice(128, 256),
        epochs=15,
        l2=Float(1e-6, 1e-3, log=True),
        schedule=Space(CosineDecay, warmup=Float(0.0, 2.0)),
        augmentation=Choice(None, Space(Shift, pixels=1)),
    ),
    early_stopping=EarlyStopping(patience=4),
    trials=30,
)
