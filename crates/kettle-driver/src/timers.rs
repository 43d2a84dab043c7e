//! Owns deadlines: who asked to be woken when. A hierarchical wheel; the caller turns it with [`Timers::expire`].
//!
//! Time is counted in nanoseconds from the wheel's making, and cut into digits of six bits above its sixteen lowest:
//!
//! ```text
//!  deadline   │ level 7 │ level 6 │ … │ level 1 │ level 0 │ 16 bits: 65.5 microseconds, a tick │
//!  level      the highest digit in which the deadline differs from `turned`, the tick up to which all has expired
//!  slot       that digit
//! ```
//!
//! Invariant: every slot that is occupied lies ahead of `turned` on its level (on level 0 it may be at it), and all of a
//! level's timers come before those of the next level. So the first timers are in the first slot of the lowest level that
//! has any, and bit masks find it. When the wheel turns to the start of a slot above level 0, its timers move to lower
//! levels, in their order: a timer moves seven times at most. The levels hold every number of 64 bits (584 years); what
//! is later never comes.
//!
//! The exact deadlines are kept: what expires is sorted by them, and nothing expires early. A timer's place is a link in
//! its slot's list, so making and cancelling are a few writes.
#![forbid(unsafe_code)]

use crate::op::Token;
use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

const TICK_BITS: u32 = 16;
const LEVEL_BITS: u32 = 6;
const SLOTS: usize = 1 << LEVEL_BITS;
const LEVELS: usize = (u64::BITS - TICK_BITS) as usize / LEVEL_BITS as usize;

/// How many timers of a slot `next_deadline` looks at.
const GLANCE: usize = 16;

/// No timer: the end of a list.
const NONE: u32 = u32::MAX;

/// Timers, a million or more of them, by deadline.
///
/// Making and cancelling one is O(1) and allocates only if more are pending than ever before. (Room for 2^32 - 1.)
///
/// ```
/// use kettle_driver::{Timers, Token};
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let mut timers = Timers::new(start);
/// let tea = timers.insert(start + Duration::from_secs(180), Token(1));
/// let eggs = timers.insert(start + Duration::from_secs(300), Token(2));
/// assert_eq!(timers.next_deadline(), Some(start + Duration::from_secs(180)));
///
/// assert!(timers.cancel(tea));
/// assert!(!timers.cancel(tea), "it is known to be gone");
///
/// let mut expired = Vec::new();
/// timers.expire(start + Duration::from_secs(299), &mut expired);
/// assert!(expired.is_empty());
/// timers.expire(start + Duration::from_secs(300), &mut expired);
/// assert_eq!(expired, [Token(2)]);
/// assert!(!timers.cancel(eggs));
/// ```
pub struct Timers {
    origin: Instant,
    /// The tick up to which the wheel has turned.
    turned: u64,
    /// One bit for each slot of a level that has timers.
    occupied: [u64; LEVELS],
    /// Apart, because it takes 4 KiB, and a loop may be made on a small stack.
    slots: Box<[[List; SLOTS]; LEVELS]>,
    entries: Vec<Entry>,
    /// The first of the entries that are free; `next` links them.
    free: u32,
    pending: usize,
    /// What `next_deadline` has found, if nothing has changed since that could make it later.
    found: Cell<Option<u64>>,
    /// What is being expired: deadline, place in the list, token. Empty but for its room.
    due: Vec<(u64, u32, Token)>,
}

/// Names a timer to [`Timers::cancel`]. Harmless when the timer has gone: keys are not used again.
///
/// (Only 2^32 timers later can the same place bring the same key.)
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerKey {
    index: u32,
    /// That of an entry in use, which is odd: so an `Option` of a key is no larger than a key.
    generation: NonZeroU32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

/// That of a slot without timers.
const EMPTY: List = List { first: NONE, last: NONE };

#[derive(Debug)]
struct Entry {
    at: u64,
    token: Token,
    previous: u32,
    next: u32,
    /// Counts the entry's timers, and their ends: odd while there is one.
    generation: u32,
    level: u8,
    slot: u8,
}

impl Timers {
    /// None yet. `now` is the earliest deadline that is told apart from others.
    pub fn new(now: Instant) -> Self {
        Self {
            origin: now,
            turned: 0,
            occupied: [0; LEVELS],
            slots: vec![[EMPTY; SLOTS]; LEVELS].try_into().expect("invariant: as many as there are levels"),
            entries: Vec::new(),
            free: NONE,
            pending: 0,
            found: Cell::new(None),
            due: Vec::new(),
        }
    }

    /// How many are pending.
    pub fn len(&self) -> usize {
        self.pending
    }

    /// Whether none is pending.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// A timer for the first [`expire`](Self::expire) with a `now` that is not before `at`. An `at` that has passed is
    /// fine, and so is one that never comes.
    ///
    /// # Panics
    ///
    /// With 2^32 - 1 timers pending.
    pub fn insert(&mut self, at: Instant, token: Token) -> TimerKey {
        let at = self.nanos(at);
        let index = self.free;
        let index = if index == NONE {
            let index = u32::try_from(self.entries.len()).unwrap_or(NONE);
            assert!(index != NONE, "make a timer: {NONE} are pending");
            self.entries.push(Entry { at, token, previous: NONE, next: NONE, generation: 1, level: 0, slot: 0 });
            index
        } else {
            let entry = &mut self.entries[index as usize];
            self.free = entry.next;
            entry.at = at;
            entry.token = token;
            entry.generation = entry.generation.wrapping_add(1);
            index
        };
        self.link(index);
        self.pending += 1;
        self.found.set(self.found.get().map(|found| found.min(at)));
        let generation = NonZeroU32::new(self.entries[index as usize].generation).expect("invariant: odd while in use");
        TimerKey { index, generation }
    }

    /// Takes a timer out; whether it was still pending.
    pub fn cancel(&mut self, key: TimerKey) -> bool {
        let is_pending =
            self.entries.get(key.index as usize).is_some_and(|entry| entry.generation == key.generation.get());
        if is_pending {
            if self.found.get() == Some(self.entries[key.index as usize].at) {
                self.found.set(None);
            }
            self.unlink(key.index);
            self.release(key.index);
        }
        is_pending
    }

    /// When to call [`expire`](Self::expire) next; none if nothing is pending.
    ///
    /// It is the first deadline if there are not many in its part of the wheel. Otherwise it may be earlier: nothing expires
    /// then, and the next answer is closer; seven of those can come before one deadline. It is never later, but for crowds: with more than 16 deadlines in one tick of 65.5 microseconds it
    /// may be the tick's end.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.pending == 0 {
            return None;
        }
        let found = self.found.get().or_else(|| self.find());
        self.found.set(found);
        found.map(|nanos| self.instant(nanos))
    }

    /// The first deadline, or a bound of it.
    fn find(&self) -> Option<u64> {
        let (level, slot) = self.first_slot()?;
        let mut first = u64::MAX;
        let mut index = self.slots[level][slot].first;
        for _ in 0..GLANCE {
            if index == NONE {
                return Some(first);
            }
            let entry = &self.entries[index as usize];
            first = first.min(entry.at);
            index = entry.next;
        }
        let start = self.start(level, slot);
        let bound = if level == 0 { start.saturating_add(1) } else { start };
        Some(bound.saturating_mul(1 << TICK_BITS))
    }

    /// Turns the wheel: adds the tokens of all timers whose deadline is not after `now`, by deadline, those of the same
    /// deadline in the order in which they were made.
    pub fn expire(&mut self, now: Instant, expired: &mut Vec<Token>) {
        let now = self.nanos(now);
        let tick = now >> TICK_BITS;
        self.found.set(None);
        while let Some((level, slot)) = self.first_slot() {
            let start = self.start(level, slot);
            if start > tick {
                break;
            }
            self.turned = self.turned.max(start);
            if level > 0 {
                self.cascade(level, slot);
            } else if !self.expire_slot(slot, now, expired) {
                return;
            }
        }
        // All slots up to here are empty, so nothing changes its level.
        self.turned = self.turned.max(tick);
    }

    /// Expires what is due in a slot of level 0; whether that was all of it.
    fn expire_slot(&mut self, slot: usize, now: u64, expired: &mut Vec<Token>) -> bool {
        let mut due = std::mem::take(&mut self.due);
        let mut index = self.take(0, slot);
        let mut is_all = true;
        while index != NONE {
            let &Entry { at, token, next, .. } = &self.entries[index as usize];
            if at <= now {
                due.push((at, due.len() as u32, token));
                self.release(index);
            } else {
                is_all = false;
                self.link(index);
            }
            index = next;
        }
        due.sort_unstable();
        expired.extend(due.drain(..).map(|(.., token)| token));
        self.due = due;
        is_all
    }

    /// Deals a slot's timers to lower levels, now that the wheel has turned to its start.
    fn cascade(&mut self, level: usize, slot: usize) {
        let mut index = self.take(level, slot);
        while index != NONE {
            let next = self.entries[index as usize].next;
            self.link(index);
            index = next;
        }
    }

    /// Empties a slot; the first entry of what was in it.
    fn take(&mut self, level: usize, slot: usize) -> u32 {
        self.occupied[level] &= !(1 << slot);
        std::mem::replace(&mut self.slots[level][slot], EMPTY).first
    }

    /// Where the first timers are: all others are in later slots.
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// The first tick of an occupied slot.
    fn start(&self, level: usize, slot: usize) -> u64 {
        let shift = level as u32 * LEVEL_BITS;
        let above = self.turned >> shift >> LEVEL_BITS;
        ((above << LEVEL_BITS) | slot as u64) << shift
    }

    /// Puts an entry at the end of the list where it belongs.
    fn link(&mut self, index: u32) {
        let tick = (self.entries[index as usize].at >> TICK_BITS).max(self.turned);
        let differ = tick ^ self.turned;
        let level = (differ.checked_ilog2().unwrap_or(0) / LEVEL_BITS) as usize;
        let slot = (tick >> (level as u32 * LEVEL_BITS)) as usize % SLOTS;
        let list = &mut self.slots[level][slot];
        let last = std::mem::replace(&mut list.last, index);
        if last == NONE {
            list.first = index;
            self.occupied[level] |= 1 << slot;
        } else {
            self.entries[last as usize].next = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.previous = last;
        entry.next = NONE;
        entry.level = level as u8;
        entry.slot = slot as u8;
    }

    /// Takes an entry out of its list.
    fn unlink(&mut self, index: u32) {
        let &Entry { previous, next, level, slot, .. } = &self.entries[index as usize];
        let list = &mut self.slots[usize::from(level)][usize::from(slot)];
        if previous == NONE {
            list.first = next;
        } else {
            self.entries[previous as usize].next = next;
        }
        if next == NONE {
            list.last = previous;
        } else {
            self.entries[next as usize].previous = previous;
        }
        if list.first == NONE {
            self.occupied[usize::from(level)] &= !(1 << slot);
        }
    }

    /// Gives an entry that is in no list back.
    fn release(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = std::mem::replace(&mut self.free, index);
        self.pending -= 1;
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    fn instant(&self, nanos: u64) -> Instant {
        // An `Instant` has room for 2^63 seconds.
        self.origin.checked_add(Duration::from_nanos(nanos)).unwrap_or(self.origin)
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("pending", &self.pending)
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}
