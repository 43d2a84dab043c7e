//! Owns how a cancellation spreads: from a region to those inside it, and to the tasks that were spawned in them.
//!
//! A region's `is_cancelled`, and a task's flag, which is that of the innermost region that it has entered, are kept up to
//! date, so that a checkpoint looks at one bit. Inside, a region that has been cancelled stays so; a task's flag is cleared
//! when it leaves that region, or enters one that shields.
//!
//! ```text
//!   task ── region ──▶ outer ──▶ outer          the innermost first; all lie in frames of the task
//!                        │ members
//!                        ├── task ── region …   spawned in it; their own flags begin with its
//!                        └── task
//! ```
//!
//! Regions are left in the order of frames, except by a coroutine: suspended inside one, it may be resumed by another task,
//! or dropped there. So a region knows the task that has entered it, and is taken out of that one's list, wherever it is in
//! there; a task that ends lets go of what is left in it.
//!
//! The unsafe code of this module is reading regions through the pointers that stand for them meanwhile.

use crate::cancelled::{Cancelled, Reason};
use crate::header::{Flags, Region, TaskRef};
use std::cell::Cell;
use std::ptr::NonNull;

thread_local! {
    /// How often a reason has changed, or what is outside of a region. What regions remember of an earlier time is not looked
    /// at: without that, a chain of tasks that unwinds would be walked once for each of them.
    static EPOCH: Cell<u64> = const { Cell::new(1) };
}

fn begin_epoch() {
    EPOCH.set(EPOCH.get() + 1);
}

/// A region as it is pointed to.
///
/// # Safety
///
/// It has not been left, or lets go of its task before it goes; or, of a family, the task has not ended.
unsafe fn at<'a>(region: NonNull<Region>) -> &'a Region {
    // SAFETY: by the obligation. All that changes in it is in cells.
    unsafe { region.as_ref() }
}

/// The regions that a task has entered, the innermost first.
pub(crate) fn regions_of<'a>(task: TaskRef) -> impl Iterator<Item = &'a Region> {
    // SAFETY: those in a task's list have not been left.
    let at = |region: NonNull<Region>| unsafe { at(region) };
    std::iter::successors(task.region.get().map(at), move |region| region.outer.get().map(at))
}

/// The region that a task was spawned in, as long as it has not ended.
pub(crate) fn family<'a>(task: TaskRef) -> Option<&'a Region> {
    // SAFETY: it waits for this task, which has not ended: who has asks has none.
    task.family.get().map(|family| unsafe { at(family) })
}

/// Whether a task is cancelled where it has entered no region.
fn is_cancelled_outside(task: TaskRef) -> bool {
    task.asked.get().is_some() || family(task).is_some_and(|family| family.is_cancelled.get())
}

fn set_cancelled(task: TaskRef, is_cancelled: bool) {
    if is_cancelled {
        task.set(Flags::CANCELLED);
    } else {
        task.clear(Flags::CANCELLED);
        task.clear(Flags::TOLD);
    }
}

/// Makes a task that has not run a member of a region, which waits for it.
pub(crate) fn adopt(region: &Region, task: TaskRef) {
    let mut members = region.members.borrow_mut();
    task.family.set(Some(NonNull::from(region)));
    task.place.set(u32::try_from(members.len()).expect("invariant: so many tasks have no room"));
    members.push(task);
    set_cancelled(task, is_cancelled_outside(task));
}

/// Holds a member back that was just made, if as many run as may. Gives whether it is held.
pub(crate) fn hold(region: &Region, task: TaskRef) -> bool {
    let mut turns = region.turns.borrow_mut();
    let Some(turns) = &mut *turns else { return false };
    // It is a member already.
    let holds = region.members.borrow().len() - turns.held > turns.most;
    if holds {
        task.set(Flags::HELD);
        task.share();
        turns.held += 1;
        turns.queue.push_back(task);
    }
    holds
}

/// The next one of those that were held, if there is a turn for it; the caller owns it. It may have been cancelled, and not be
/// held any more.
pub(crate) fn next_turn(region: &Region) -> Option<TaskRef> {
    let mut turns = region.turns.borrow_mut();
    let turns = turns.as_mut()?;
    let runs = region.members.borrow().len() - turns.held;
    (runs < turns.most).then(|| turns.queue.pop_front())?
}

/// A member is held no more.
pub(crate) fn release_turn(region: &Region, task: TaskRef) {
    task.clear(Flags::HELD);
    if let Some(turns) = &mut *region.turns.borrow_mut() {
        turns.held -= 1;
    }
}

/// A member has ended. Gives its region, and whether it was the last one.
pub(crate) fn release<'a>(task: TaskRef) -> Option<(&'a Region, bool)> {
    let region = family(task)?;
    task.family.set(None);
    let mut members = region.members.borrow_mut();
    let place = task.place.get();
    members.swap_remove(place as usize);
    if let Some(moved) = members.get(place as usize) {
        moved.place.set(place);
    }
    Some((region, members.is_empty()))
}

/// The task enters a region, which does not move until it has been left.
pub(crate) fn enter(task: TaskRef, region: &Region) {
    region.task.set(Some(task));
    region.outer.set(task.region.get());
    region.was_told.set(task.is(Flags::TOLD));
    region.is_cancelled.set(region.asked.get().is_some() || task.is(Flags::CANCELLED) && !region.shields);
    task.region.set(Some(NonNull::from(region)));
    set_cancelled(task, region.is_cancelled.get());
}

/// The region's task leaves it. Gives whether it is cancelled outside as well.
pub(crate) fn leave(task: TaskRef, region: &Region) -> bool {
    let outer = region.outer.get();
    if task.region.get() == Some(NonNull::from(region)) {
        task.region.set(outer);
    } else if let Some(inner) = regions_of(task).find(|inner| inner.outer.get() == Some(NonNull::from(region))) {
        // A coroutine is suspended in there.
        inner.outer.set(outer);
        begin_epoch();
    }
    region.task.set(None);
    let told = task.is(Flags::TOLD) || region.was_told.get();
    let is_cancelled = match regions_of(task).next() {
        Some(innermost) => innermost.is_cancelled.get(),
        None => is_cancelled_outside(task),
    };
    set_cancelled(task, is_cancelled);
    if is_cancelled && told {
        task.set(Flags::TOLD);
    }
    // SAFETY: the next one out is left later.
    outer.map_or_else(|| is_cancelled_outside(task), |outer| unsafe { at(outer) }.is_cancelled.get())
}

/// A task that has ended lets go of the regions that coroutines have left in it. Gives them one by one.
pub(crate) fn abandon<'a>(task: TaskRef) -> Option<&'a Region> {
    // SAFETY: it has not been left.
    let region = unsafe { at(task.region.get()?) };
    task.region.set(region.outer.take());
    region.task.set(None);
    begin_epoch();
    Some(region)
}

/// Something has been asked to end: of this task, or of a region of it. Finds out who is cancelled by that.
pub(crate) fn spread(task: TaskRef, cancelled: &mut Vec<TaskRef>) {
    begin_epoch();
    let mut tasks = vec![task];
    let mut regions = Vec::new();
    while let Some(task) = tasks.pop() {
        let mut is_cancelled = is_cancelled_outside(task);
        regions.extend(regions_of(task));
        // The outermost first.
        while let Some(region) = regions.pop() {
            is_cancelled = region.asked.get().is_some() || is_cancelled && !region.shields;
            if is_cancelled && !region.is_cancelled.replace(true) {
                tasks.extend(&*region.members.borrow());
            }
        }
        if is_cancelled && !task.is(Flags::CANCELLED) {
            task.set(Flags::CANCELLED);
            cancelled.push(task);
        }
    }
}

/// As `spread`, of a region; its task may have ended.
pub(crate) fn spread_from(region: &Region, cancelled: &mut Vec<TaskRef>) {
    begin_epoch();
    if region.is_cancelled.get() {
        return;
    }
    if let Some(task) = region.task.get() {
        spread(task, cancelled);
    } else {
        region.is_cancelled.set(true);
        for &member in &*region.members.borrow() {
            spread(member, cancelled);
        }
    }
}

/// What a task that is cancelled is unwound with. Of several reasons it is that of the outermost region, to which it unwinds.
#[cold]
pub(crate) fn cancelled(task: TaskRef) -> Cancelled {
    // Without one its family has lost its task, which is how an event loop ends.
    Cancelled::new(reason(task).unwrap_or(Reason::Shutdown))
}

/// The reason of what is outermost, from a task's innermost region on, as far as nothing shields.
fn reason(task: TaskRef) -> Option<Reason> {
    let epoch = EPOCH.get();
    // What each task on the way has, together with the region that the way came in by.
    let mut way: Vec<(Option<&Region>, Option<Reason>)> = Vec::new();
    let (mut from, mut owner) = (None, task);
    let mut further_out = loop {
        // SAFETY: as in `regions_of`; and a member's family has not been left.
        let first = from.or_else(|| owner.region.get().map(|innermost| unsafe { at(innermost) }));
        let mut reason = None;
        let mut shields = false;
        // SAFETY: the same.
        for region in std::iter::successors(first, |region| region.outer.get().map(|outer| unsafe { at(outer) })) {
            reason = region.asked.get().or(reason);
            shields = region.shields;
            if shields {
                break;
            }
        }
        if !shields {
            reason = owner.asked.get().or(reason);
        }
        way.push((from, reason));
        let Some(family) = family(owner).filter(|_| !shields) else { break None };
        match (family.reason.get(), family.task.get()) {
            ((of, known), _) if of == epoch => break known,
            (_, Some(parent)) => (from, owner) = (Some(family), parent),
            (_, None) => break family.asked.get(),
        }
    };
    for (region, reason) in way.into_iter().rev() {
        further_out = further_out.or(reason);
        if let Some(region) = region {
            region.reason.set((epoch, further_out));
        }
    }
    further_out
}
