"""What pytest does not collect: examples in the docstrings of modules whose optional dependencies are not installed."""

from importlib.util import find_spec

collect_ignore = []
if any(find_spec(name) is None for name in ("skl2onnx", "onnxruntime")):
    collect_ignore.append("skrelu/onnx.py")
