//! Owns the interpreter as a stackless body.
//!
//! Blocks nested up to [`Outermost`]'s depth lie in the body's own memory, so that what they delegate to is stepped
//! through the root's chain; deeper ones are in boxes, where the library goes another way. Corpora use both.

use crate::error::Raised;
use crate::interpret::{Flow, Frame, Items, delegated, ended, interpreter, plain};
use crate::scenario::{Handler, Stmt};
use crate::value::Value;
use crate::world::{Gen, World};
use kettle_gen::{BoxError, Error, TryYielder, boxed_local, try_generator};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;

interpreter!(TryYielder<Value, Value>, [async], [.await]);

type Outermost = Above<Above<Above<Boxed>>>;

/// Where a block is in a box of its own.
struct Boxed;

impl Depth for Boxed {
    async fn block(
        frame: &mut Frame,
        y: &mut TryYielder<Value, Value>,
        block: &[Stmt],
        handling: Option<&Raised>,
    ) -> Result<Flow, Raised> {
        let block: Pin<Box<dyn Future<Output = Result<Flow, Raised>> + '_>> =
            Box::pin(Above::<Boxed>::block(frame, y, block, handling));
        block.await
    }
}

/// Makes a generator of a definition.
pub(crate) fn make(world: Rc<World>, definition: usize, argument: Value) -> Gen {
    boxed_local(try_generator(async move |y: &mut TryYielder<Value, Value>| body(world, definition, argument, y).await))
}
