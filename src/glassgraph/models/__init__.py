"""Reference graph neural networks, a trainer, weight files, and trained reference models."""

from glassgraph.models.cache import ModelCacheWarning, default_cache
from glassgraph.models.gnn import GAT, GCN, GIN, GNN, MODELS, RGCN, SAGE, Body
from glassgraph.models.reference import TrainedModel, reference_model
from glassgraph.models.star_gnn import ColorConv, StarGNN
from glassgraph.models.star_training import TrainedStarGNN, train_star_gnn
from glassgraph.models.temporal import LinkPredictor, TemporalAttention
from glassgraph.models.temporal_training import TrainedTGN, train_tgn
from glassgraph.models.training import Training, accuracy, train
from glassgraph.models.weights import build_model, load_model, save_model

__all__ = [
    "GAT",
    "GCN",
    "GIN",
    "GNN",
    "MODELS",
    "RGCN",
    "SAGE",
    "Body",
    "ColorConv",
    "LinkPredictor",
    "ModelCacheWarning",
    "StarGNN",
    "TemporalAttention",
    "TrainedModel",
    "TrainedStarGNN",
    "TrainedTGN",
    "Training",
    "accuracy",
    "build_model",
    "default_cache",
    "load_model",
    "reference_model",
    "save_model",
    "train",
    "train_star_gnn",
    "train_tgn",
]
