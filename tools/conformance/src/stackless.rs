//! Owns the interpreter as a stackless body: each block is a future in a box, and all of them are one state machine.

use crate::error::Raised;
use crate::interpret::{Flow, Frame, Items, delegated, ended, interpreter, plain};
use crate::scenario::{Handler, Stmt};
use crate::value::Value;
use crate::world::{Gen, World};
use kettle_gen::local::{self, TryYielder};
use kettle_gen::{BoxError, Error};
use std::pin::Pin;
use std::rc::Rc;

interpreter!(TryYielder<'static, Value, Value>, [async], [.await]);

/// The block of a statement.
fn block<'a>(
    frame: &'a mut Frame,
    y: &'a mut TryYielder<'static, Value, Value>,
    block: &'a [Stmt],
    handling: Option<&'a Raised>,
) -> Pin<Box<dyn Future<Output = Result<Flow, Raised>> + 'a>> {
    Box::pin(statements(frame, y, block, handling))
}

/// Makes a generator of a definition.
pub(crate) fn make(world: Rc<World>, definition: usize, argument: Value) -> Gen {
    local::boxed(local::try_generator(async move |y: &mut TryYielder<'static, Value, Value>| {
        body(world, definition, argument, y).await
    }))
}
