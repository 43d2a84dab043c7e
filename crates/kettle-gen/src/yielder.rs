//! Owns what a stackless body speaks through: the [`Yielder`] of one that does not see errors, and the [`TryYielder`] of
//! one that does. Their words are in `yields` and `delegation`.
//!
//! A yielder has no size: it is a reference and nothing behind it. What the reference is good for is its address, which is
//! the number of the generator. So a body can be called before it is known where the generator will be, and yielders can't
//! be swapped or moved: the compiler knows no size that it could move.
//!
//! Invariant: a generator gives its number to one yielder and to its exchanges, and all of them have its types.

use crate::exchange::Exchange;
use crate::threads::Anywhere;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr;
use core::task::Context;

/// A body's side of a generator: `yield`, and `yield from`.
///
/// A body gets it by `&mut` and can't keep it. Its futures do their work where the body awaits them; polled anywhere
/// else, in another generator or under an executor of somebody else, they panic. One that is dropped before the pause
/// has handed out nothing, unless the body then waits for a future instead of yielding.
///
/// When it has to be named: `async |y: &mut Yielder<u32>|` for values only, `Yielder<u32, String>` for a generator that
/// is sent strings. `'g` is how long the generator lives, which delegates must; `T` says whether they must be [`Send`].
pub struct Yielder<'g, Y, S = (), T = Anywhere> {
    /// `'g` may be neither shortened nor stretched. The values pass through here, so they count for [`Send`].
    types: PhantomData<(fn(&'g ()) -> &'g (), fn(Y) -> S, Y, S, T)>,
    /// Without a size known to the compiler nothing can be moved out of its reference, and so to another address.
    _immovable: [()],
}

/// What a body is handed: one of the yielders below, for a generator's number.
pub(crate) trait Handed {
    /// The yielder of the generator that has a number.
    ///
    /// # Safety
    ///
    /// The generator has this yielder's types, and the result is handed to its body alone.
    unsafe fn handed<'a>(owner: *const ()) -> &'a mut Self;
}

impl<Y, S, T> Handed for Yielder<'_, Y, S, T> {
    #[inline(always)]
    unsafe fn handed<'a>(owner: *const ()) -> &'a mut Self {
        let nothing = ptr::slice_from_raw_parts_mut(owner.cast_mut(), 0) as *mut Self;
        // SAFETY: it has markers and a slice of nothing: no size, no alignment. A pointer that is not null is valid for
        // an access to that.
        unsafe { &mut *nothing }
    }
}

impl<Y, S, T> Handed for TryYielder<'_, Y, S, T> {
    #[inline(always)]
    unsafe fn handed<'a>(owner: *const ()) -> &'a mut Self {
        let nothing = ptr::slice_from_raw_parts_mut(owner.cast_mut(), 0) as *mut Self;
        // SAFETY: it has a yielder for its only field.
        unsafe { &mut *nothing }
    }
}

impl<Y, S, T> Yielder<'_, Y, S, T> {
    /// The exchange that this yielder's body is being polled with.
    #[inline(always)]
    pub(crate) fn exchange<'a>(&'a self, context: &'a Context<'_>) -> &'a Exchange<Y, S> {
        // SAFETY: yielders come from `handed`, and can't be moved or copied to another address.
        unsafe { Exchange::of(context, ptr::from_ref(self).cast()) }
    }
}

impl<Y, S, T> fmt::Debug for Yielder<'_, Y, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

/// The side of a body that sees errors, made by [`try_generator`](crate::try_generator): a [`Yielder`], and the words
/// that give the body what is thrown at it.
///
/// Wherever a `&mut Yielder` is wanted, a `&mut TryYielder` will do.
pub struct TryYielder<'g, Y, S = (), T = Anywhere>(Yielder<'g, Y, S, T>);

impl<'g, Y, S, T> Deref for TryYielder<'g, Y, S, T> {
    type Target = Yielder<'g, Y, S, T>;

    #[inline(always)]
    fn deref(&self) -> &Yielder<'g, Y, S, T> {
        &self.0
    }
}

impl<'g, Y, S, T> DerefMut for TryYielder<'g, Y, S, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Yielder<'g, Y, S, T> {
        &mut self.0
    }
}

impl<Y, S, T> fmt::Debug for TryYielder<'_, Y, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryYielder").finish_non_exhaustive()
    }
}
