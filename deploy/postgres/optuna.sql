-- Run once, when the volume is new: MLflow has the first database, Optuna's studies have this one.
CREATE DATABASE optuna;
