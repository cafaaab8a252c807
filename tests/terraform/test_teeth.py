"""The proof can fail: mistakes in the HCL are caught, by Terraform or by a rule."""

from __future__ import annotations

import os

import pytest

from tests.terraform.cloud import Module, Terraform
from tests.terraform.mutations import MADE, REFUSED, SLOW, Mutation
from tests.terraform.rules import problems


def said_of(module: Module) -> str:
    """What is said of a configuration: by Terraform if it refuses it, otherwise by the rules."""
    assert module.run("init", "-input=false").status == 0
    planned = module.plan(*module.given("prod"))
    if planned.status == 1:
        return " ".join(planned.said.replace("│", " ").split())
    made = module.apply()
    if made.status:
        return made.said
    try:
        return "\n".join(problems(module.made()))
    except ValueError as error:  # settings that cannot be read
        return str(error)


def mutated(provider: Terraform, *mutations: Mutation) -> Module:
    module = provider.module("-".join(mutation.name for mutation in mutations).replace(" ", "-")[:80])
    for mutation in mutations:
        path = module.folder / mutation.file
        text = path.read_text(encoding="utf-8")
        assert mutation.old in text, f"{mutation.name} does not fit any more"
        path.write_text(text.replace(mutation.old, mutation.new, 1), encoding="utf-8")
    return module


@pytest.mark.parametrize("mutations", [REFUSED, MADE], ids=["by-terraform", "by-a-rule"])
def test_mistakes_are_caught(provider: Terraform, mutations: tuple[Mutation, ...]) -> None:
    """Several at once, because each run takes seconds."""
    said = said_of(mutated(provider, *mutations))
    assert [mutation.name for mutation in mutations if mutation.caught not in said] == []


if os.environ.get("TERRAFORM_TEETH"):

    @pytest.mark.parametrize("mutation", [*REFUSED, *MADE, *SLOW], ids=lambda one: one.name.replace(" ", "-"))
    def test_a_mistake_is_caught(provider: Terraform, mutation: Mutation) -> None:
        assert mutation.caught in said_of(mutated(provider, mutation))
