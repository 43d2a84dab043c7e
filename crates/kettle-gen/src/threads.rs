//! Owns where a generator may go: to any thread, or nowhere. A type parameter says it, so that the compiler checks that
//! what is delegated to may go there as well.

use crate::generator::Generator;
use core::marker::PhantomData;

/// May be sent to other threads, if all that it holds may.
#[derive(Debug)]
pub struct Anywhere;

/// Stays on its thread, and so may delegate to what must.
#[derive(Debug)]
pub struct Here(PhantomData<*const ()>);

/// Whether a generator that goes where `Self` says may delegate to `G`.
///
/// # Safety
///
/// `G` and what it returns may go where `Self` says.
#[diagnostic::on_unimplemented(
    message = "a generator that may change threads can't delegate to `{G}`, which may not",
    note = "make the delegating generator by `local::generator`"
)]
pub unsafe trait Admits<G> {}

// SAFETY: they are `Send`.
unsafe impl<G: Generator<Return: Send> + Send> Admits<G> for Anywhere {}

// SAFETY: anything may stay where it is.
unsafe impl<G> Admits<G> for Here {}
