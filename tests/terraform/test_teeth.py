"""The proof can fail: mistakes in the HCL are caught, by Terraform or by a rule."""

from __future__ import annotations

import os

import pytest

from tests.terraform.cloud import Module, Terraform
from tests.terraform.mutations import QUICK, SLOW, Mutation
from tests.terraform.rules import problems

ALL = (*QUICK, *SLOW) if os.environ.get("TERRAFORM_TEETH") else QUICK


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


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.name.replace(" ", "-"))
def test_a_mistake_is_caught(provider: Terraform, mutation: Mutation) -> None:
    module = provider.module(f"mutated-{mutation.name.replace(' ', '-')}")
    path = module.folder / mutation.file
    text = path.read_text(encoding="utf-8")
    assert mutation.old in text, "the mutation does not fit any more"
    path.write_text(text.replace(mutation.old, mutation.new, 1), encoding="utf-8")
    assert mutation.caught in said_of(module)
