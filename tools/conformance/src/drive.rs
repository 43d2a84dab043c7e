//! Owns the driver (FORMAT section 8): runs a scenario and gives its trace.

use crate::Bodies;
use crate::scenario::{Drive, Op, SLOTS, Scenario, Slot};
use crate::world::{Echo, Outcome, World};
use std::rc::Rc;

/// Runs a scenario with generators of the library, and gives the lines of its trace.
///
/// A run that exceeds the tool's limits is cut off; then the last line begins with `!`.
pub fn trace(scenario: Scenario, bodies: Bodies) -> String {
    let world = World::new(scenario, bodies);
    for operation in &world.scenario().drive {
        if world.is_spent() {
            break;
        }
        perform(&world, operation);
    }
    for slot in 0..SLOTS {
        if world.shared(slot).is_some() {
            perform(&world, &Drive::Drop(slot));
        }
    }
    if world.is_spent() {
        world.log(format_args!("! stopped: more statements or generators than any correct run needs"));
    }
    world.take_trace()
}

fn perform(world: &Rc<World>, operation: &Drive) {
    match operation {
        Drive::New(slot, definition, argument) => {
            world.log(format_args!("> new {slot} {definition} {argument}"));
            // Where the limit is reached there is no generator, and no further operation.
            world.replace(*slot, world.make(*definition, argument.clone()).ok());
        }
        Drive::Op(slot, op) => {
            world.log(format_args!("> {}", Echo(*slot, op)));
            let outcome = operate(world, *slot, op);
            world.log(format_args!("= {outcome}"));
        }
        Drive::For(slot, rounds) => {
            world.log(format_args!("> for {slot} {rounds}"));
            iterate(world, *slot, *rounds);
        }
        Drive::Drop(slot) => {
            world.log(format_args!("> drop {slot}"));
            // The slot is empty before the generator runs what it does when it is closed.
            let generator = world.replace(*slot, None);
            drop(generator);
        }
    }
}

fn iterate(world: &Rc<World>, slot: Slot, rounds: u64) {
    for _ in 0..rounds {
        match world.spend(1).map(|()| operate(world, slot, &Op::Next)) {
            Ok(Outcome::Yield(value)) => world.log(format_args!("= item {value}")),
            Ok(Outcome::Return(_)) => return world.log(format_args!("= end")),
            Ok(outcome) => return world.log(format_args!("= {outcome}")),
            Err(_) => return,
        }
    }
    world.log(format_args!("= break"));
}

fn operate(world: &Rc<World>, slot: Slot, op: &Op<crate::value::Value>) -> Outcome {
    let generator = world.shared(slot).expect("invariant: parsed with an occupied slot");
    world.operate(generator, op)
}
