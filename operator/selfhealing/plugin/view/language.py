"""The languages of ``explain`` and of the dashboard."""

from enum import StrEnum


class Language(StrEnum):
    """A language of the explanation."""

    EN = "en"
    ZH = "zh"
