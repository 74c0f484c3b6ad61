# Every public name and where it lives: read by `__init__.py`, by type checkers and by editors.

from .base import ExplanationDataset as ExplanationDataset
from .cards import CARDS as CARDS
from .cards import DatasetCard as DatasetCard
from .chemistry import name_atoms as name_atoms
from .event_streams import EventStream as EventStream
from .event_streams import event_stream as event_stream
from .files import load_graphs as load_graphs
from .files import save_graphs as save_graphs
from .load import DATASETS as DATASETS
from .load import dataset_card as dataset_card
from .load import load_dataset as load_dataset
from .pyg import from_pyg as from_pyg
from .smiles import from_smiles as from_smiles
from .smiles import read_smiles as read_smiles
