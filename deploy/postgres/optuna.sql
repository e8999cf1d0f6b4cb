-- Runs once, on a new volume: a second database, for Optuna's studies, beside that of MLflow.
CREATE DATABASE optuna;
