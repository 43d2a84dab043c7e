//! Coroutines with stacks of their own, and the stacks.
#![warn(missing_debug_implementations)]

mod memory;
mod class;
mod overflow;
mod slab;
pub mod pool;
mod stack;
mod exchange;
mod yielder;
mod body;
mod coroutine;
mod scoped;
mod builder;

pub use builder::{Builder, coroutine, scoped, try_coroutine};
pub use class::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, StackError};
pub use coroutine::Coroutine;
pub use memory::Guards;
pub use scoped::Scoped;
pub use yielder::Yielder;
