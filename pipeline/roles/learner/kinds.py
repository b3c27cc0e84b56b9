"""The kinds of classifier that `config/models.toml` may ask for, made for the catalogue of features."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from models import classifier, river_logistic
from models.classifier import Classifier
from models.labelled_model import LabelledModel
from models.river_logistic import Logistic
from pipeline.core.features import ENTITY_FEATURES, SCALES
from pipeline.core.models_file import Kinds, ModelSetting
from pipeline.roles.learner.columns import COLUMNS

KINDS: Final[Kinds] = {
    classifier.KIND: {},
    river_logistic.KIND: {"rate": (1e-4, 1.0), "balance": (1.0, 1_000.0)},
}
_MAKERS: Final[Mapping[str, Callable[..., LabelledModel]]] = {
    classifier.KIND: lambda: Classifier(COLUMNS),
    river_logistic.KIND: partial(Logistic, SCALES, len(ENTITY_FEATURES)),
}


def maker(setting: ModelSetting) -> Callable[[], LabelledModel]:
    """Makes a new classifier as ``setting`` says."""
    return partial(_MAKERS[setting.kind], **setting.settings)
