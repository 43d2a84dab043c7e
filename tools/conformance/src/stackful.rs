//! Owns the interpreter as a stackful body: recursion on the coroutine's own stack, whatever the nesting.

use crate::error::Raised;
use crate::interpret::{Flow, Frame, Items, delegated, ended, interpreter, plain};
use crate::scenario::{Handler, Stmt};
use crate::value::Value;
use crate::world::{Gen, World};
use kettle_fiber::{Builder, Yielder};
use kettle_gen::{BoxError, Error, local};
use std::rc::Rc;

interpreter!(Yielder<Value, Value>, [], []);

/// The block of a statement.
fn block(
    frame: &mut Frame,
    y: &mut Yielder<Value, Value>,
    block: &[Stmt],
    handling: Option<&Raised>,
) -> Result<Flow, Raised> {
    statements(frame, y, block, handling)
}

/// How large a coroutine's stack is. Stackless bodies that it resumes nest there as well; it is
/// address space mostly, and unoptimised bodies need more of it.
const STACK: usize = if cfg!(debug_assertions) { 32 << 20 } else { 4 << 20 };

/// Makes a generator of a definition.
///
/// # Errors
///
/// There is no stack to be had.
pub(crate) fn make(world: Rc<World>, definition: usize, argument: Value) -> Result<Gen, Raised> {
    let builder = Builder::new().name(format!("definition {definition}")).stack_size(STACK);
    match builder.try_coroutine(move |y: &mut Yielder<Value, Value>| body(world, definition, argument, y)) {
        Ok(coroutine) => Ok(local::boxed(coroutine)),
        Err(_) => Err(Raised::Limit),
    }
}
