"""How much is drawn: the same cases for `make test` and `make slow`, other ones in `make fuzz`."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

#: For each of the methods; over all of them more than 500 and 20,000 in the last two.
EXAMPLES = {"test": 4, "slow": 17, "fuzz": 834}

for name in ("test", "fuzz"):
    settings.register_profile(
        name,
        max_examples=EXAMPLES[name],
        derandomize=name == "test",
        print_blob=name == "fuzz",
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("test")  # `--hypothesis-profile=fuzz` is read later, and wins
