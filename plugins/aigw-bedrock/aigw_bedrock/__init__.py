"""A plugin of aigw that makes Amazon Bedrock a provider: `kind = "bedrock"`."""

from aigw_bedrock.plugin import Bedrock
from aigw_bedrock.provider import BedrockProvider
from aigw_bedrock.rules import ModelRule

__all__ = ["Bedrock", "BedrockProvider", "ModelRule"]
