"""A plugin of aigw that makes Google Vertex AI a provider: `kind = "vertex"`."""

from aigw_vertex.plugin import Vertex
from aigw_vertex.provider import VertexProvider

__all__ = ["Vertex", "VertexProvider"]
