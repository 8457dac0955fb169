"""`model_repository/`: what the models' config.pbtxt say, and where their artefacts go."""

from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from gavel_models import paths
from gavel_models.catalog import Catalog


def config(model: str, variant: str | None = None) -> model_config_pb2.ModelConfig:
    """The model's config.pbtxt, or `configs/<variant>.pbtxt`, by Triton's own schema."""
    folder = paths.REPOSITORY / model
    path = folder / "configs" / f"{variant}.pbtxt" if variant else folder / "config.pbtxt"
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def features(model: str, catalog: Catalog) -> list[str]:
    """The features of the model's input tensor `features`, in order."""
    spec = config(model)
    names = [name.strip() for name in spec.parameters["gavel.features.features"].string_value.split(",")]
    width = len(catalog.columns(names))
    if list(spec.input[0].dims) != [width]:
        raise ValueError(f"{model}: its features fill {width} columns, but dims say {list(spec.input[0].dims)}")
    return names


def artefact(model: str, filename: str = "model.onnx") -> Path:
    """Where the model's ONNX file lies."""
    return paths.REPOSITORY / model / "1" / filename


def check() -> int:
    """Parse every config and compare its files with its name; the number of configs."""
    found = sorted(paths.REPOSITORY.rglob("*.pbtxt"))
    for path in found:
        model = path.relative_to(paths.REPOSITORY).parts[0]
        variant = path.stem if path.parent.name == "configs" else None
        name = config(model, variant).name
        if name != model:
            raise ValueError(f"{path} says that its name is {name}")
    return len(found)
