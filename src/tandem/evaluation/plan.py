"""Which metrics can be computed of a subject, and why the others cannot."""

from collections.abc import Callable, Iterable

from tandem.errors import ConfigError, MetricError, MissingExtraError, WeightsError
from tandem.evaluation.metric import Metric, MetricSet, Setup, UnmetNeedError
from tandem.evaluation.networks.loader import NetworkLoader
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.rows.measurement import Measurement
from tandem.evaluation.subject import Subject
from tandem.report.scores import LeftOutMetric


def plan(
    subject: Subject,
    options: EvaluationOptions,
    known: MetricSet,
    make_networks: Callable[[bool], NetworkLoader],
) -> tuple[list[Metric], list[LeftOutMetric]]:
    """Choose the metrics; every need of each is asked of all images here, before anything is measured.

    Args:
        subject: What there is to measure.
        options: Which metrics are wanted.
        known: The metrics that there are.
        make_networks: Gives the networks; the argument says whether weights may be downloaded, which they are only for
            metrics that were asked for by name.

    Raises:
        ConfigError: A metric that was asked for cannot be computed, or none can.
        WeightsError: Weights of a metric that was asked for are missing.
        DataError: A file cannot be read.
    """
    if options.metrics is not None:
        setup = Setup(subject, options, lambda: make_networks(options.may_download))
        names = known.parse(",".join(options.metrics), option=options.flag("metrics"))
        return [planned_by_name(name, setup, known) for name in names], []
    setup = Setup(subject, options, lambda: make_networks(False))
    planned: list[Metric] = []
    left_out: list[LeftOutMetric] = []
    for metric in known:
        try:
            metric.check(setup)
            planned.append(metric(setup))
        except (ConfigError, WeightsError, MissingExtraError) as error:
            left_out.append(LeftOutMetric(metric=metric.name, reason=_reason(error)))
    if not planned:
        raise ConfigError(
            "no metric can be computed here:\n" + "\n".join(f"- {o.metric}: {o.reason}" for o in left_out)
        )
    return planned, left_out


def planned_by_name(name: str, setup: Setup, known: MetricSet) -> Metric:
    """A metric that was asked for.

    Raises:
        MetricError: It cannot be computed.
        ConfigError: There is no such metric.
        WeightsError: Weights are missing.
    """
    option = setup.options.flag("metrics")
    metric = known.named(name, option=option)
    try:
        metric.check(setup)
        return metric(setup)
    except ConfigError as error:
        raise MetricError(name, _reason(error), option=option) from error


def distinct(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Each measurement once, though several metrics want it."""
    return list({one.spec: one for one in measurements}.values())


def _reason(error: Exception) -> str:
    if isinstance(error, UnmetNeedError):
        return error.reason
    if isinstance(error, WeightsError) and not error.may_download:
        return (
            f"the weights '{error.weights}' are not on this machine; ask for the metric by name to have them downloaded"
        )
    return str(error).rstrip(".")
