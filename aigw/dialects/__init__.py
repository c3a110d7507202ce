"""Wire formats as pure codecs, one package each: trees and bytes in, `aigw.model` values out, and back.

Never aiohttp, never asyncio, no clock. A format is never converted pair-wise into another.
"""
