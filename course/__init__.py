"""What runs around the notebooks: `python3 -m course` lists it."""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHASES = ("1_tensors", "2_modules", "3a_embeddings", "3b_attention", "3c_blocks", "4_model", "5_training")
NOTEBOOKS = ("0_welcome", *PHASES)  # the first has nothing to fill in
