//! E0200: who writes a body of a new kind answers for what it holds.
use kettle_gen::body::{Body, BodyStep};
use kettle_gen::{Input, State};
use std::pin::Pin;
use std::task::Waker;

struct Endless;

impl Body<u8, (), ()> for Endless {
    fn step(self: Pin<&mut Self>, _: Input<()>, _: Option<&Waker>) -> BodyStep<u8, (), ()> {
        BodyStep::Yielded(1)
    }
    fn state(&self) -> State {
        State::Suspended
    }
    fn catches(&self) -> bool {
        false
    }
    fn finish(self: Pin<&mut Self>) {}
}

fn main() {}
