"""The study: the only owner of Optuna's study and its storage. It proposes trials and decides which continue."""
