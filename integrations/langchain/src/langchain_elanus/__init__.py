"""The place of Elanus's LangChain integration; it holds a version number and nothing else yet."""

__all__ = ["__version__"]

__version__ = "0.1.0"
