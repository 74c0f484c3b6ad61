"""How much is drawn: the same cases every time for `make test`, other ones in `make fuzz`."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

#: For each of the methods; over all of them more than 500 and 20,000.
EXAMPLES = {"test": 17, "fuzz": 834}

for name, max_examples in EXAMPLES.items():
    settings.register_profile(
        name,
        max_examples=max_examples,
        derandomize=name == "test",
        print_blob=name == "fuzz",
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("test")  # `--hypothesis-profile=fuzz` is read later, and wins
