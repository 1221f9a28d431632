"""Typed configuration: `schema` has the dataclasses, `compose` fills them, `native_config` feeds the core."""

from mvfstrl.config.compose import compose, config_folder, register, to_config
from mvfstrl.config.native_config import native_config
from mvfstrl.config.schema import Config, Mode, Resume

__all__ = ["Config", "Mode", "Resume", "compose", "config_folder", "native_config", "register", "to_config"]
