"""Train, export, quantise and measure everything, from the data to what docs/models.md shows."""

from gavel_models import paths, repository
from gavel_models.catalog import Catalog
from gavel_models.fraud import dataset, examples, golden, measure, train
from gavel_models.progress import note, step


def main() -> None:
    """All of `make models`."""
    with step("checking model_repository/*/config.pbtxt"):
        note(f"{repository.check()} configs parse")
    with step("reading payments and computing features at their times"):
        data = dataset.load(Catalog(paths.DECISIONS / "features.toml"))
    models = train.train(data)
    train.export(models, data)
    measure.measure(data, models)
    with step("writing golden rows and examples"):
        chosen = golden.choose(data)
        golden.write(chosen, data, models)
        examples.write(data, models, chosen)


if __name__ == "__main__":
    main()
