"""`etlch-data`: from topics or documents to LlamaFactory files, recipes and trained models."""

from __future__ import annotations

import click

from etlch.cli.calibrate import calibrate
from etlch.cli.check import check
from etlch.cli.common import CONTEXT, Group, version_option
from etlch.cli.doctor import doctor
from etlch.cli.export import export
from etlch.cli.generate import generate
from etlch.cli.grow import grow
from etlch.cli.import_labels import import_
from etlch.cli.predict import predict
from etlch.cli.preview import preview
from etlch.cli.prompts import prompts
from etlch.cli.quality import quality
from etlch.cli.run import run
from etlch.cli.status import estimate, status
from etlch.cli.tasks import tasks
from etlch.cli.topics import topics


@click.group(cls=Group, context_settings=CONTEXT)
@version_option
def main() -> None:
    """Write training data with a teacher model, prove it by code, and train on it.

    \b
    Example, without a key and offline:
      etlch-data generate --teacher offline --language en --sizes 30 --test 10
      cd outputs/offline-en && llamafactory-cli train recipes/train_efficient-30-s42.yaml
    """


main.add_command(generate)
main.add_command(import_)
main.add_command(grow)
main.add_command(estimate)
main.add_command(status)
main.add_command(check)
main.add_command(quality)
main.add_command(export)
main.add_command(doctor)
main.add_command(run)
main.add_command(predict)
main.add_command(calibrate)
main.add_command(preview)
main.add_command(topics)
main.add_command(tasks)
main.add_command(prompts)

if __name__ == "__main__":
    main()
