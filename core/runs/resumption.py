"""Making a run that ended ready to go on: what may change is changed and recorded, what may not is refused.

The worker that then goes on needs nothing but the run directory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.errors import PoemError
from core.i18n import _
from core.plain import plain
from core.profile.changes import changes_between, refuse_fixed
from core.profile.document import dump_profile, load_profile
from core.profile.schema import Profile
from core.runs.checkpoints import choose_checkpoint, remove_after
from core.runs.directory import RunDirectory, typed
from core.runs.event_log import EventLog
from core.runs.events import SettingChanged
from core.runs.storage import read_json, write_json, write_whole
from core.runs.view import view_run

_WANTED_FILE = "resume.json"
_LENGTHS = ("train.epochs", "train.max_steps")


def make_resumable(run: RunDirectory, *, overrides: Sequence[str], from_step: int | None) -> Profile:
    """See that a run can go on, and write down how. Only who holds the run may do this.

    Args:
        run: the run.
        overrides: `KEY=VALUE`, of the keys that may change.
        from_step: the checkpoint to go on from; None: the newest.

    Returns:
        the profile that is in force from now on.

    Raises:
        PoemError: it is finished and not made longer, its checkpoint is damaged, or a key may not change.
    """
    before = load_profile(str(run.profile_path))
    after = load_profile(str(run.profile_path), overrides=overrides)
    changes = changes_between(before, after)
    refuse_fixed(changes, where=run.id)
    view = view_run(run)
    if view.status == "finished" and all(change.key not in _LENGTHS for change in changes):
        raise PoemError(
            _("the run is finished"),
            hint=_("Make it longer with --set train.epochs=N, or start a new one with: poemcore train"),
            where=run.id,
        )
    checkpoint = choose_checkpoint(run, from_step)
    step = 0 if checkpoint is None else checkpoint.step
    done = view.step if view.status == "finished" and from_step is None else step
    _refuse_shorter(after, rows=view.rows, step=done, where=run.id)
    if from_step is None:
        (run.path / _WANTED_FILE).unlink(missing_ok=True)
    else:
        write_json(run.path / _WANTED_FILE, {"from_step": from_step})
    if changes:
        write_whole(run.profile_path, dump_profile(after))
        with EventLog(run.events_path) as log:
            for item in changes:
                log.append(SettingChanged(step=step, key=item.key, before=item.before, after=item.after), sync=True)
    return after


def wanted_step(run: RunDirectory) -> int | None:
    """The step that a person has asked the run to go on from; None: that of its newest checkpoint."""
    try:
        step = read_json(run.path / _WANTED_FILE)["from_step"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError):
        step = None
    if type(step) is not int:
        raise PoemError(
            _("{name} can't be read").format(name=_WANTED_FILE),
            hint=_("Say again where to go on: poemcore resume {run} --from STEP").format(run=typed(run)),
            where=plain(str(run.path)),
        )
    return step


def meet_wanted_step(run: RunDirectory, step: int) -> list[int]:
    """Once it is certain that the run goes on from `step`: the checkpoints after it are void. Returns their steps."""
    removed = remove_after(run, step)
    (run.path / _WANTED_FILE).unlink(missing_ok=True)
    return removed


def _refuse_shorter(profile: Profile, *, rows: int, step: int, where: str) -> None:
    keys = profile.train
    steps = keys.epochs * math.ceil(rows / keys.batch_size)
    steps = min(steps, keys.max_steps) if keys.max_steps else steps
    if rows and steps < step:
        raise PoemError(
            _("the run has done {done} steps and is now to have {steps}").format(done=step, steps=steps),
            hint=_("Raise train.epochs or train.max_steps, or go on from an earlier step with --from."),
            where=where,
        )
