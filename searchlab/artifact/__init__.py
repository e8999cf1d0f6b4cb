"""The artifact of a sweep: the weights of the winner in float16, and a manifest that describes them."""

from searchlab.artifact.converting import convert_to_safetensors
from searchlab.artifact.loaded import Artifact
from searchlab.artifact.loading import load
from searchlab.artifact.saving import save

__all__ = ["Artifact", "convert_to_safetensors", "load", "save"]
