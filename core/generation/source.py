"""Which profile and adapter a completion uses: those of a run, of an adapter's folder, or a base model's alone.

It knows where runs keep things. It loads no model and imports nothing heavy at module scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.profile.document import check_text, load_profile, problems_error
from core.profile.schema import Profile
from core.runs.directory import RunDirectory, find_run


@dataclass(frozen=True, slots=True)
class Source:
    """What writes a completion."""

    profile: Profile
    """Names the base, the template, the tasks and the sampling."""
    adapter: Path | None
    """Its folder; None for the base alone."""
    trained_in: RunDirectory | None
    """The run that the adapter comes from, where that is known."""


def find_source(
    *,
    runs_dir: Path,
    wanted_run: str | None = None,
    adapter: Path | None = None,
    profile: str | None = None,
    base_only: bool = False,
    overrides: Sequence[str] = (),
) -> Source:
    """Find what a person asked to complete with.

    Args:
        runs_dir: where runs are kept.
        wanted_run: a run's id, the beginning of one, or `last`; it brings adapter and profile.
        adapter: an adapter's folder; its run's profile, or the base that it names, unless `profile` is given too.
        profile: a preset's name or a profile file.
        base_only: leave the adapter off.
        overrides: as for `load_profile`.

    Raises:
        PoemError: none or too many of the three are given, or what is named isn't there.
    """
    trained_in, folder = _find_adapter(runs_dir, wanted_run, adapter, profile, base_only)
    found = _find_profile(profile, trained_in, folder, overrides)
    return Source(found, None if base_only else folder, trained_in)


def adapter_of(run: RunDirectory) -> Path:
    """The run's final adapter, else that of its newest checkpoint.

    Raises:
        PoemError: it has neither yet.
    """
    checkpoints = run.checkpoints_path.glob("step-*/adapter")
    found = [(int(path.parent.name[5:]), path) for path in checkpoints if path.parent.name[5:].isdecimal()]
    for folder in (run.adapter_path, *(path for _step, path in sorted(found, reverse=True))):
        if (folder / "adapter_config.json").is_file():
            return folder
    raise PoemError(
        _("the run {run} has no adapter yet").format(run=plain(run.id)),
        hint=_("Wait for its first checkpoint, or see what the base writes with --base-only."),
        where=str(run.path),
    )


def _find_adapter(
    runs_dir: Path, wanted_run: str | None, adapter: Path | None, profile: str | None, base_only: bool
) -> tuple[RunDirectory | None, Path | None]:
    """The run that the adapter was trained in, where it is known, and the adapter."""
    if wanted_run is not None:
        if adapter is not None or profile is not None:
            raise PoemError(
                _("--run brings its own adapter and profile"),
                hint=_("Give --run alone, or --adapter with --profile. Single keys change with --set."),
            )
        found = find_run(runs_dir, wanted_run)
        return found, None if base_only else adapter_of(found)
    if adapter is None:
        if profile is None:
            raise PoemError(
                _("which model shall complete it?"),
                hint=_(
                    "Give one of --run RUN (such as --run last), --adapter DIR, or --profile P (such as tang-tiny-cpu)."
                ),
            )
        return None, None
    from core.model.lora import check_adapter

    adapter = path_of(str(adapter))
    check_adapter(adapter)
    whole = adapter.resolve()
    # runs/ID/adapter, or runs/ID/checkpoints/step-000200/adapter
    for folder in (whole.parent, whole.parents[min(2, len(whole.parents) - 1)]):
        if (folder / "profile.toml").is_file():
            return RunDirectory(folder), adapter
    return None, adapter


def _find_profile(
    named: str | None, trained_in: RunDirectory | None, adapter: Path | None, overrides: Sequence[str]
) -> Profile:
    if named is not None:
        return load_profile(named, overrides=overrides)
    if trained_in is not None:
        return load_profile(str(trained_in.profile_path), overrides=overrides)
    import tomli_w

    from core.model.lora import check_adapter

    facts = check_adapter(adapter or Path())
    if not facts.base_name:
        raise PoemError(
            _("the adapter doesn't say which base it belongs to"),
            hint=_("Name the base: --profile P, with model.base in it."),
            where=str(adapter),
        )
    profile, problems = check_text(tomli_w.dumps({"model": {"base": facts.base_name}}), overrides=overrides)
    if profile is None:
        raise problems_error(problems, str(adapter))
    return profile
