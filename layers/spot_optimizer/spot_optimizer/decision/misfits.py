"""Why a machine cannot run on a type, in words."""

from spot_optimizer.market.catalog import InstanceType


def misfit(candidate: InstanceType, home: InstanceType, *, may_burst: bool = False) -> str:
    """What keeps a ``home`` image from running on ``candidate``: the first clause of
    market.catalog.fits_machine that fails, empty if none."""
    clauses = (
        ("architecture", candidate.architecture == home.architecture),
        ("not sold as spot", candidate.spot),
        ("bare metal", not candidate.bare_metal),
        ("number of GPUs", candidate.gpus == home.gpus),
        ("accelerators", candidate.accelerators == home.accelerators),
        ("burstable", home.burstable or may_burst or not candidate.burstable),
        ("hypervisor", candidate.hypervisor == home.hypervisor),
        ("instance store", candidate.instance_store == home.instance_store),
        ("size of the instance store", candidate.instance_store_gb >= home.instance_store_gb),
    )
    return next((text for text, holds in clauses if not holds), "")
