"""The demo: eight workloads that between them show the main job.

What a calm market would not show within a day is scripted on top: changes of the Spot Advisor, a
price surge and a capacity shortage.
"""

from simulator.scenario import (
    AdvisorChange,
    CapacityShortage,
    Curve,
    PriceSurge,
    Scenario,
    WorkloadSpec,
)

_STATELESS = {"state": "stateless"}

DEMO = Scenario(
    name="demo",
    parameters={"DryRun": "false"},
    workloads=(
        WorkloadSpec(
            name="web-shop",
            shows="SWITCH from on-demand to spot, past a capacity shortage",
            instance_type="m5.large",
            lifecycle="on-demand",
            placement="dearest",
            cpu_vcpu=Curve.flat(0.9),
            memory_gib=Curve.flat(4.5),
            tags={**_STATELESS, "types": "m5.large,m5a.large,c5.xlarge,c5a.xlarge"},
            target_group=True,
            elastic_address=True,
        ),
        WorkloadSpec(
            name="search",
            shows="STAY in a pool that is good enough",
            instance_type="c5.xlarge",
            lifecycle="spot",
            placement="cheapest",
            cpu_vcpu=Curve.flat(2.0),
            memory_gib=Curve.flat(4.5),
            tags={**_STATELESS, "types": "c5.xlarge"},
        ),
        WorkloadSpec(
            name="cache",
            shows="SWITCH away from a type that the Spot Advisor calls risky",
            instance_type="r5.large",
            lifecycle="spot",
            placement="cheapest",
            cpu_vcpu=Curve.flat(0.8),
            memory_gib=Curve.flat(10.0),
            tags={**_STATELESS, "types": "r5.large,r5a.large"},
        ),
        WorkloadSpec(
            name="etl",
            shows="FALLBACK to on-demand in a price surge, and return",
            instance_type="m5.xlarge",
            lifecycle="spot",
            placement="cheapest",
            cpu_vcpu=Curve.flat(2.2),
            memory_gib=Curve.flat(9.0),
            tags={**_STATELESS, "types": "m5.xlarge,m5a.xlarge"},
        ),
        WorkloadSpec(
            name="api",
            shows="right-sizing up: CPU over 80 % from hour 3",
            instance_type="m5.large",
            lifecycle="spot",
            placement="cheapest",
            cpu_vcpu=Curve(((0.0, 1.0), (3.0, 1.0), (3.5, 1.85))),
            memory_gib=Curve.flat(4.0),
            tags={**_STATELESS, "types": "m5*,m4*"},
        ),
        WorkloadSpec(
            name="reports",
            shows="right-sizing down: a tenth of its CPU is used",
            instance_type="c5.2xlarge",
            lifecycle="on-demand",
            placement="cheapest",
            cpu_vcpu=Curve.flat(0.8),
            memory_gib=Curve.flat(2.6),
            tags={**_STATELESS, "types": "c5*"},
        ),
        WorkloadSpec(
            name="billing",
            shows="manual mode: decided and recorded, not acted upon",
            instance_type="m5.2xlarge",
            lifecycle="on-demand",
            placement="dearest",
            cpu_vcpu=Curve.flat(4.0),
            memory_gib=Curve.flat(18.0),
            tags={**_STATELESS, "types": "m5*", "mode": "manual"},
        ),
        WorkloadSpec(
            name="worker-node",
            shows="refused: a node of an EKS group is replaced by EKS itself",
            instance_type="c5.large",
            lifecycle="spot",
            placement="cheapest",
            cpu_vcpu=Curve.flat(1.0),
            memory_gib=Curve.flat(2.0),
            tags=_STATELESS,
            other_tags={"eks:nodegroup-name": "workers"},
        ),
    ),
    scripted=(
        CapacityShortage(hour=0, until_hour=1, workload="web-shop", pools=2),
        AdvisorChange(hour=0, instance_type="m5a.xlarge", bucket=4),
        AdvisorChange(hour=0, instance_type="r5a.large", bucket=1),
        AdvisorChange(hour=5, instance_type="r5.large", bucket=4),
        PriceSurge(hour=8, until_hour=11, instance_type="m5.xlarge", factor=6),
        AdvisorChange(hour=11, instance_type="m5a.xlarge", bucket=0),
    ),
)
